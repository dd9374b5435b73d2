#pragma once
// How much memory processes hold, and how often to look. For the process table, which ends a tree
// above its limit where no cgroup does. Nothing here keeps state or ends anything; any thread.

#include "core/time.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corral {

/// What of a process's memory cannot be taken back: anonymous and shared memory, in bytes. Pages of
/// mapped files (an engine's weights) are the kernel's to drop. From the text of /proc/PID/status,
/// or its VmRSS where the kernel does not tell them apart. Pure.
[[nodiscard]] std::optional<std::uint64_t> parse_status_memory(std::string_view text) noexcept;

/// The same from /proc/PID/smaps_rollup, where a page that several processes share counts for each
/// in part. Pure.
[[nodiscard]] std::optional<std::uint64_t> parse_rollup_memory(std::string_view text) noexcept;

/// All that is resident of these processes, mapped files included: never less than what follows,
/// and much cheaper to ask for.
[[nodiscard]] std::uint64_t resident_of(const std::vector<pid_t>& processes);
/// The memory of these processes together, quickly; what forked processes share counts twice.
[[nodiscard]] std::uint64_t memory_of(const std::vector<pid_t>& processes);
/// The same with shared pages counted once. Slow: the kernel walks every page.
[[nodiscard]] std::uint64_t exact_memory_of(const std::vector<pid_t>& processes);

/// How many processes the kernel's OOM killer has ended since boot (/proc/vmstat); nothing where
/// that is not counted.
[[nodiscard]] std::optional<std::uint64_t> oom_kills_so_far();
[[nodiscard]] std::optional<std::uint64_t> parse_oom_kills(std::string_view vmstat) noexcept;

/// When to look again at a tree with `used` bytes of `limit` that had `before` of them `since` ago:
/// several times before it could reach the limit at the rate at which it grows, else seldom. Pure.
[[nodiscard]] Duration next_memory_look(std::uint64_t limit, std::uint64_t used,
                                        std::uint64_t before, Duration since) noexcept;

}  // namespace corral
