#include "proxy/activity/machine_readings.hpp"

#include "core/file.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <sys/resource.h>
#include <sys/time.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace corral::activity {
namespace {

/// Of any of the files: a machine with a thousand cores has no more.
constexpr std::size_t proc_file_bytes_max = 4U << 20U;

constexpr std::string_view blanks = " \t";

/// Takes the next line off the text.
std::string_view next_line(std::string_view& text) noexcept {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
}

/// Takes the next word off the line; empty at its end.
std::string_view next_word(std::string_view& line) noexcept {
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(blanks)));
    const std::string_view word = line.substr(0, line.find_first_of(blanks));
    line.remove_prefix(word.size());
    return word;
}

template <class Number>
std::optional<Number> number_of(std::string_view word) noexcept {
    Number value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool whole = error == std::errc{} && end == word.data() + word.size();
    return whole ? std::optional(value) : std::nullopt;
}

/// All numbers of a line, up to the first word that is none.
std::vector<std::uint64_t> numbers_of(std::string_view line) {
    std::vector<std::uint64_t> out;
    while (const auto value = number_of<std::uint64_t>(next_word(line))) {
        out.push_back(*value);
    }
    return out;
}

std::string text_of_file(const char* path) {
    auto text = read_text_file(path, proc_file_bytes_max);
    return text ? std::move(*text) : std::string();
}

double seconds_of(const timeval& time) noexcept {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

std::vector<CoreTimes> parse_core_times(std::string_view stat) {
    constexpr std::size_t idle = 3;
    constexpr std::size_t waiting_for_disks = 4;
    constexpr std::size_t guests = 8;  // from here on: counted twice
    std::vector<CoreTimes> out;
    while (!stat.empty()) {
        std::string_view line = next_line(stat);
        const std::string_view label = next_word(line);
        if (!label.starts_with("cpu") || !number_of<unsigned>(label.substr(3))) {
            continue;
        }
        const auto ticks = numbers_of(line);
        if (ticks.size() <= idle) {
            continue;
        }
        CoreTimes core;
        core.core = label.substr(3);
        for (std::size_t i = 0; i < std::min(ticks.size(), guests); ++i) {
            core.total += ticks[i];
        }
        core.idle = ticks[idle] + (ticks.size() > waiting_for_disks ? ticks[waiting_for_disks] : 0);
        out.push_back(std::move(core));
    }
    return out;
}

double busy_percent(const CoreTimes& before, const CoreTimes& now) noexcept {
    if (now.total <= before.total) {
        return 0;  // no tick between them
    }
    const auto total = static_cast<double>(now.total - before.total);
    // The kernel's idle time of a core that is switched off may go back.
    const auto idle = now.idle > before.idle ? static_cast<double>(now.idle - before.idle) : 0.0;
    return std::clamp(100.0 * (1.0 - idle / total), 0.0, 100.0);
}

std::optional<MachineMemory> parse_memory(std::string_view meminfo) {
    constexpr std::uint64_t kib = 1024;
    MachineMemory out;
    bool found = false;
    while (!meminfo.empty()) {
        std::string_view line = next_line(meminfo);
        const std::string_view key = next_word(line);
        const auto value = number_of<std::uint64_t>(next_word(line));
        if (!value) {
            continue;
        }
        if (key == "MemTotal:") {
            out.total = *value * kib;
            found = true;
        } else if (key == "MemFree:") {
            out.free = *value * kib;
        } else if (key == "MemAvailable:") {
            out.available = *value * kib;
        } else if (key == "SwapTotal:") {
            out.swap_total = *value * kib;
        } else if (key == "SwapFree:") {
            out.swap_free = *value * kib;
        }
    }
    return found ? std::optional(out) : std::nullopt;
}

std::optional<std::array<double, 3>> parse_load_average(std::string_view loadavg) {
    std::array<double, 3> out{};
    for (double& average : out) {
        const auto value = number_of<double>(next_word(loadavg));
        if (!value) {
            return std::nullopt;
        }
        average = *value;
    }
    return out;
}

std::vector<InterfaceBytes> parse_interfaces(std::string_view net_dev) {
    constexpr std::size_t sent = 8;  // after eight numbers of what was received
    std::vector<InterfaceBytes> out;
    while (!net_dev.empty()) {
        std::string_view line = next_line(net_dev);
        const auto colon = line.rfind(':');  // an alias has one in its name
        if (colon == std::string_view::npos) {
            continue;  // the two lines of the head
        }
        const auto numbers = numbers_of(line.substr(colon + 1));
        std::string_view name = line.substr(0, colon);
        name = next_word(name);
        if (numbers.size() > sent && !name.empty()) {
            out.push_back({std::string(name), numbers[0], numbers[sent]});
        }
    }
    return out;
}

std::optional<ProcessSize> parse_process_size(std::string_view statm) {
    const auto numbers = numbers_of(next_line(statm));
    if (numbers.size() < 2) {
        return std::nullopt;
    }
    return ProcessSize{numbers[0], numbers[1]};
}

MachineTexts read_machine_texts() {
    MachineTexts out;
    out.stat = text_of_file("/proc/stat");
    out.meminfo = text_of_file("/proc/meminfo");
    out.loadavg = text_of_file("/proc/loadavg");
    out.net_dev = text_of_file("/proc/net/dev");
    out.statm = text_of_file("/proc/self/statm");
    return out;
}

ProcessUse read_process_use() {
    ProcessUse out;
    rusage use{};
    if (::getrusage(RUSAGE_SELF, &use) == 0) {
        out.cpu_seconds = seconds_of(use.ru_utime) + seconds_of(use.ru_stime);
    }
    out.page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        out.open_files_max = files.rlim_cur;
    }
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
         !error && entry != end; entry.increment(error)) {
        ++out.open_files;
    }
    if (out.open_files > 0) {
        --out.open_files;  // the one that looked
    }
    return out;
}

}  // namespace corral::activity
