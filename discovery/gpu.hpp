#pragma once
// Which GPUs there are and how much memory they have in all (not how much is free just now: what
// is written into a config must not depend on the minute). Touches the driver and /sys; any thread.

#include <cstdint>
#include <string>
#include <vector>

namespace corral {

struct Gpu {
    std::string name;
    std::uint64_t memory_bytes = 0;
    friend bool operator==(const Gpu&, const Gpu&) = default;
};

/// NVIDIA cards by their driver's library (NVML), else AMD cards by the kernel; none: empty. An
/// error counts as "none": a model then runs on the CPU, which always works.
[[nodiscard]] std::vector<Gpu> probe_gpus();

/// AMD cards below a directory like /sys/class/drm: card*/device/mem_info_vram_total.
[[nodiscard]] std::vector<Gpu> read_amd_gpus(const std::string& drm_directory);

}  // namespace corral
