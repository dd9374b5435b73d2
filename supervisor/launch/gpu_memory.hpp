#pragma once
// How much memory is in use on this machine's GPUs, and what else they tell of themselves: NVIDIA's
// by the driver's own library, AMD's by sysfs. Main thread; a reading of the memory takes well
// under a millisecond, the first one starts NVIDIA's library. Decides nothing.

#include "core/gpu_reading.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace corral {

class GpuMemory {
public:
    virtual ~GpuMemory() = default;
    /// Bytes in use on all GPUs together; nothing when they cannot be read (any more).
    [[nodiscard]] virtual std::optional<std::uint64_t> used() = 0;
    /// Each GPU, for those who watch the machine; what it does not tell is left out.
    [[nodiscard]] virtual std::vector<GpuReading> readings() = 0;
};

/// NVIDIA's GPUs by the driver's library; null without it or without such a GPU.
[[nodiscard]] std::unique_ptr<GpuMemory> make_nvidia_memory(
    const std::string& library = "libnvidia-ml.so.1");
/// AMD's GPUs by ROOT/sys/class/drm/card*/device/mem_info_vram_used; null without any.
[[nodiscard]] std::unique_ptr<GpuMemory> make_amd_memory(const std::string& root);
/// Whichever of these there is; null without a GPU that can be read.
[[nodiscard]] std::unique_ptr<GpuMemory> make_gpu_memory();

}  // namespace corral
