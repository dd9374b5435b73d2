#pragma once
// What /proc says about processes: who descends from whom, and a signal that cannot hit the wrong
// one. For launch/ only, any thread. Keeps no state: a pid alone never identifies a process, so
// everything here carries its start time, too.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corral {

/// One process as /proc/PID/stat describes it (proc(5)).
struct ProcessInfo {
    pid_t pid = 0;
    char state = '?';  ///< R, S, D, T, t, Z, X, I
    pid_t parent = 0;
    pid_t group = 0;
    pid_t session = 0;
    std::int64_t threads = 0;
    std::uint64_t start_ticks = 0;  ///< clock ticks since boot; with the pid it is the identity

    /// True when it has ended and only waits to be reaped. One whose first thread has ended while
    /// others run on shows the state of a zombie and is none.
    [[nodiscard]] bool ended() const noexcept {
        return (state == 'Z' || state == 'X') && threads <= 1;
    }
};

/// Reads the text of /proc/PID/stat. The name in it is chosen by the process and may hold anything.
[[nodiscard]] std::optional<ProcessInfo> parse_process_stat(std::string_view text) noexcept;

/// The process with this pid; nothing when there is none (any more).
[[nodiscard]] std::optional<ProcessInfo> read_process(pid_t pid) noexcept;

/// The children of one process, zombies included. Complete for the calling process (only its own
/// waits remove entries); for others one that ends meanwhile may hide a sibling.
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid);

/// Calls `see` for each process below `root` that has not ended, at once when it is found: what is
/// forked and ends again quickly is still there then. Of siblings the youngest comes first.
void each_descendant(pid_t root, const std::function<void(const ProcessInfo&)>& see);

/// Every process below `root`, without root and without those that have ended.
[[nodiscard]] std::vector<ProcessInfo> descendants_of(pid_t root);

/// The same from the parent of every process there is: what descendants_of() does on a kernel
/// without CONFIG_PROC_CHILDREN. Slower; here for its test.
[[nodiscard]] std::vector<ProcessInfo> descendants_by_parent(pid_t root);

/// Sends a signal to exactly this process: false when it is gone (or another has its pid now), or
/// may not be signalled.
bool signal_process(const ProcessInfo& process, int signal) noexcept;

/// The value of an environment variable as the process had it at its last exec; nothing when it
/// has none or its environment cannot be read. Looks at the first MiB.
[[nodiscard]] std::optional<std::string> read_environment(pid_t pid, std::string_view name);

}  // namespace corral
