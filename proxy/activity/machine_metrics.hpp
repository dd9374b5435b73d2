#pragma once
// The machine and this process as metrics: under the names that llama-swap's dashboards read
// (`llamaswap_…`), and those that every Prometheus client gives (`process_…`). Main loop only.

#include "core/gpu_reading.hpp"
#include "proxy/activity/machine_readings.hpp"
#include "proxy/activity/metric_families.hpp"

#include <chrono>
#include <span>
#include <string_view>
#include <vector>

namespace corral::activity {

/// How busy the cores were since the last look; the first one counts from the construction.
class CoreUse {
public:
    explicit CoreUse(std::string_view stat) : before_(parse_core_times(stat)) {}
    /// A core that was not there before counts from boot.
    void collect(std::string_view stat, Families& out);

private:
    std::vector<CoreTimes> before_;
};

/// Memory, swap, load and network.
void collect_machine(const MachineTexts& texts, Families& out);
/// Only what a GPU tells.
void collect_gpus(std::span<const GpuReading> gpus, Families& out);
void collect_process(const MachineTexts& texts, const ProcessUse& use,
                     std::chrono::system_clock::time_point started, Families& out);

}  // namespace corral::activity
