#include "proxy/activity/machine_metrics.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace corral::activity {
namespace {

using GpuNumber = std::optional<double> GpuReading::*;
using GpuBytes = std::optional<std::uint64_t> GpuReading::*;

double as_number(double value) noexcept {
    return value;
}
double as_number(std::uint64_t value) noexcept {
    return static_cast<double>(value);
}

template <class Member>
void collect_gpu_number(std::span<const GpuReading> gpus, const char* name, const char* help,
                        Member member, Families& out) {
    Family family = gauge(name, help);
    for (const GpuReading& gpu : gpus) {
        const auto& value = gpu.*member;
        if (value && gpu.uuid.empty()) {
            add(family, {{"id", gpu.id}, {"name", gpu.name}}, as_number(*value));
        } else if (value) {
            add(family, {{"id", gpu.id}, {"name", gpu.name}, {"uuid", gpu.uuid}},
                as_number(*value));
        }
    }
    if (!family.metric.empty()) {
        out.push_back(std::move(family));
    }
}

void collect_number(const char* name, const char* help, double value, Families& out) {
    Family family = gauge(name, help);
    add(family, {}, value);
    out.push_back(std::move(family));
}

void collect_memory(const MachineMemory& memory, Families& out) {
    const auto used = memory.total - std::min(memory.total, memory.available);
    const auto swapped = memory.swap_total - std::min(memory.swap_total, memory.swap_free);
    collect_number("llamaswap_memory_total_bytes", "The machine's memory.", as_number(memory.total),
                   out);
    collect_number("llamaswap_memory_used_bytes", "Of it, what programs cannot get any more.",
                   as_number(used), out);
    collect_number("llamaswap_memory_free_bytes", "Of it, what is not even used as a cache.",
                   as_number(memory.free), out);
    collect_number("llamaswap_swap_total_bytes", "The machine's swap space.",
                   as_number(memory.swap_total), out);
    collect_number("llamaswap_swap_used_bytes", "Of it, what is in use.", as_number(swapped), out);
}

}  // namespace

void CoreUse::collect(std::string_view stat, Families& out) {
    std::vector<CoreTimes> now = parse_core_times(stat);
    Family family = gauge("llamaswap_cpu_util_percent",
                          "How busy each core was since the last time that this was asked for.");
    for (const CoreTimes& core : now) {
        const auto before = std::find_if(before_.begin(), before_.end(), [&](const CoreTimes& one) {
            return one.core == core.core;
        });
        const CoreTimes since = before != before_.end() ? *before : CoreTimes();
        add(family, {{"core", core.core}}, busy_percent(since, core));
    }
    out.push_back(std::move(family));
    before_ = std::move(now);
}

void collect_machine(const MachineTexts& texts, Families& out) {
    if (const auto memory = parse_memory(texts.meminfo)) {
        collect_memory(*memory, out);
    }
    if (const auto load = parse_load_average(texts.loadavg)) {
        Family family = gauge("llamaswap_load_average", "Processes that run or wait for a disk.");
        add(family, {{"interval", "1m"}}, (*load)[0]);
        add(family, {{"interval", "5m"}}, (*load)[1]);
        add(family, {{"interval", "15m"}}, (*load)[2]);
        out.push_back(std::move(family));
    }
    Family network = counter("llamaswap_network_bytes_total", "What went through an interface.");
    for (const InterfaceBytes& interface : parse_interfaces(texts.net_dev)) {
        const std::string& name = interface.name;
        add(network, {{"interface", name}, {"direction", "recv"}}, interface.received);
        add(network, {{"interface", name}, {"direction", "sent"}}, interface.sent);
    }
    out.push_back(std::move(network));
}

void collect_gpus(std::span<const GpuReading> gpus, Families& out) {
    collect_gpu_number<GpuNumber>(gpus, "llamaswap_gpu_temperature_celsius",
                                  "The GPU's temperature.", &GpuReading::temperature_celsius, out);
    collect_gpu_number<GpuNumber>(gpus, "llamaswap_gpu_util_percent",
                                  "How much of the time the GPU computes.",
                                  &GpuReading::util_percent, out);
    collect_gpu_number<GpuNumber>(gpus, "llamaswap_gpu_memory_util_percent",
                                  "How much of the time its memory is read or written.",
                                  &GpuReading::memory_util_percent, out);
    collect_gpu_number<GpuBytes>(gpus, "llamaswap_gpu_memory_used_bytes",
                                 "The GPU's memory that is in use.", &GpuReading::memory_used_bytes,
                                 out);
    collect_gpu_number<GpuBytes>(gpus, "llamaswap_gpu_memory_total_bytes", "The GPU's memory.",
                                 &GpuReading::memory_total_bytes, out);
    collect_gpu_number<GpuNumber>(gpus, "llamaswap_gpu_fan_speed_percent",
                                  "The speed of the GPU's fan, of its greatest.",
                                  &GpuReading::fan_speed_percent, out);
    collect_gpu_number<GpuNumber>(gpus, "llamaswap_gpu_power_draw_watts",
                                  "The power that the GPU draws.", &GpuReading::power_draw_watts,
                                  out);
}

void collect_process(const MachineTexts& texts, const ProcessUse& use,
                     std::chrono::system_clock::time_point started, Families& out) {
    Family cpu = counter("process_cpu_seconds_total", "CPU time of Corral itself.");
    add(cpu, {}, use.cpu_seconds);
    out.push_back(std::move(cpu));
    if (const auto size = parse_process_size(texts.statm)) {
        collect_number("process_resident_memory_bytes", "Corral's own resident memory.",
                       as_number(size->resident_pages * use.page_bytes), out);
        collect_number("process_virtual_memory_bytes", "Corral's own virtual memory.",
                       as_number(size->virtual_pages * use.page_bytes), out);
    }
    collect_number("process_open_fds", "Descriptors that Corral has open.",
                   as_number(use.open_files), out);
    collect_number("process_max_fds", "How many it may have open.", as_number(use.open_files_max),
                   out);
    collect_number("process_start_time_seconds", "When Corral was started (Unix time).",
                   std::chrono::duration<double>(started.time_since_epoch()).count(), out);
}

}  // namespace corral::activity
