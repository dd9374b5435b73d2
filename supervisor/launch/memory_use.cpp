// Reads /proc/PID/status and smaps_rollup (proc(5)). One small file a process and look.

#include "supervisor/launch/memory_use.hpp"

#include "core/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unistd.h>

namespace corral {
namespace {

constexpr Duration shortest_look{20};
constexpr Duration longest_look{250};
constexpr std::size_t proc_file_bytes_max = 64 * 1024;

/// The number behind `name` at the start of a line, e.g. "RssAnon:	  116 kB".
std::optional<std::uint64_t> field_of(std::string_view text, std::string_view name) noexcept {
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (!line.starts_with(name)) {
            continue;
        }
        line.remove_prefix(name.size());
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
        return error == std::errc{} ? std::optional(value) : std::nullopt;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> in_bytes(std::optional<std::uint64_t> kib) noexcept {
    return kib ? std::optional(*kib * 1024) : std::nullopt;
}

std::optional<std::string> proc_file(pid_t pid, std::string_view name) {
    auto text = read_text_file(fmt::format("/proc/{}/{}", pid, name), proc_file_bytes_max);
    return text ? std::optional(std::move(*text)) : std::nullopt;
}

std::uint64_t quick_memory(pid_t pid) {
    const auto text = proc_file(pid, "status");
    return text ? parse_status_memory(*text).value_or(0) : 0;
}

}  // namespace

std::optional<std::uint64_t> parse_status_memory(std::string_view text) noexcept {
    const auto anonymous = field_of(text, "RssAnon:");
    if (!anonymous) {
        return in_bytes(field_of(text, "VmRSS:"));
    }
    return in_bytes(*anonymous + field_of(text, "RssShmem:").value_or(0));
}

std::optional<std::uint64_t> parse_rollup_memory(std::string_view text) noexcept {
    const auto anonymous = field_of(text, "Pss_Anon:");
    if (!anonymous) {
        return in_bytes(field_of(text, "Pss:"));
    }
    return in_bytes(*anonymous + field_of(text, "Pss_Shmem:").value_or(0));
}

std::uint64_t resident_of(const std::vector<pid_t>& processes) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::uint64_t pages = 0;
    for (const pid_t pid : processes) {
        const auto text = proc_file(pid, "statm");  // "size resident shared …"
        const auto blank = text ? text->find(' ') : std::string::npos;
        if (blank != std::string::npos) {
            pages += field_of(*text, text->substr(0, blank)).value_or(0);
        }
    }
    return pages * page;
}

std::uint64_t memory_of(const std::vector<pid_t>& processes) {
    std::uint64_t sum = 0;
    for (const pid_t pid : processes) {
        sum += quick_memory(pid);
    }
    return sum;
}

std::uint64_t exact_memory_of(const std::vector<pid_t>& processes) {
    std::uint64_t sum = 0;
    for (const pid_t pid : processes) {
        const auto text = proc_file(pid, "smaps_rollup");
        const auto exact = text ? parse_rollup_memory(*text) : std::nullopt;
        sum += exact ? *exact : quick_memory(pid);
    }
    return sum;
}

std::optional<std::uint64_t> parse_oom_kills(std::string_view vmstat) noexcept {
    return field_of(vmstat, "oom_kill ");
}

std::optional<std::uint64_t> oom_kills_so_far() {
    const auto text = read_text_file("/proc/vmstat", proc_file_bytes_max);
    return text ? parse_oom_kills(*text) : std::nullopt;
}

Duration next_memory_look(std::uint64_t limit, std::uint64_t used, std::uint64_t before,
                          Duration since) noexcept {
    if (used <= before || used >= limit || since.count() <= 0) {
        return used >= limit ? shortest_look : longest_look;
    }
    const auto grown = static_cast<double>(used - before);
    const auto left = static_cast<double>(limit - used);
    const double ms_to_limit = left / grown * static_cast<double>(since.count());
    const double wanted = std::min(ms_to_limit / 4, static_cast<double>(longest_look.count()));
    return std::max(Duration(static_cast<Duration::rep>(wanted)), shortest_look);
}

}  // namespace corral
