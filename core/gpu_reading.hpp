#pragma once
// What one GPU tells of itself at a moment. Plain values: read by the supervisor, which also waits
// for memory to come back, and shown by the proxy.

#include <cstdint>
#include <optional>
#include <string>

namespace corral {

struct GpuReading {
    std::string id;    ///< "0", "1", …
    std::string name;  ///< "NVIDIA GeForce RTX 3090"; may be empty
    std::string uuid;  ///< may be empty
    std::optional<std::uint64_t> memory_used_bytes;
    std::optional<std::uint64_t> memory_total_bytes;
    std::optional<double> util_percent;
    std::optional<double> memory_util_percent;
    std::optional<double> temperature_celsius;
    std::optional<double> fan_speed_percent;
    std::optional<double> power_draw_watts;
};

}  // namespace corral
