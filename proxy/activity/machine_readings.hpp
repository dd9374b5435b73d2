#pragma once
// What Linux says in /proc of the machine and of this process. The parsers are pure: text in,
// numbers out, and nothing where the text is not what it should be. Main loop; reading takes well
// under a millisecond and never waits for a disk.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::activity {

/// Of one core since boot, in the kernel's ticks.
struct CoreTimes {
    std::string core;         ///< "0", "1", …
    std::uint64_t total = 0;  ///< time of guests is in user time already
    std::uint64_t idle = 0;   ///< waiting for disks included
};
/// The lines `cpu0`, `cpu1`, … of /proc/stat.
[[nodiscard]] std::vector<CoreTimes> parse_core_times(std::string_view stat);
/// How busy a core was between two readings, 0 to 100.
[[nodiscard]] double busy_percent(const CoreTimes& before, const CoreTimes& now) noexcept;

/// Bytes.
struct MachineMemory {
    std::uint64_t total = 0;
    std::uint64_t free = 0;       ///< nobody uses it, not even as a cache
    std::uint64_t available = 0;  ///< what programs can get
    std::uint64_t swap_total = 0;
    std::uint64_t swap_free = 0;
};
/// /proc/meminfo.
[[nodiscard]] std::optional<MachineMemory> parse_memory(std::string_view meminfo);

/// /proc/loadavg: of one, five and fifteen minutes.
[[nodiscard]] std::optional<std::array<double, 3>> parse_load_average(std::string_view loadavg);

struct InterfaceBytes {
    std::string name;
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
};
/// /proc/net/dev.
[[nodiscard]] std::vector<InterfaceBytes> parse_interfaces(std::string_view net_dev);

struct ProcessSize {
    std::uint64_t virtual_pages = 0;
    std::uint64_t resident_pages = 0;
};
/// /proc/self/statm.
[[nodiscard]] std::optional<ProcessSize> parse_process_size(std::string_view statm);

/// The texts of these; one that cannot be read is empty.
struct MachineTexts {
    std::string stat, meminfo, loadavg, net_dev, statm;
};
[[nodiscard]] MachineTexts read_machine_texts();

/// Of this process, from the system.
struct ProcessUse {
    double cpu_seconds = 0;
    std::uint64_t page_bytes = 0;
    std::uint64_t open_files = 0;
    std::uint64_t open_files_max = 0;
};
[[nodiscard]] ProcessUse read_process_use();

}  // namespace corral::activity
