#pragma once
// Words that the whole yard shares: the state of a model's process and how a process ended. Pure.

#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

/// stopped → starting → ready → stopping → stopped; failed: stopped, and the last start or run
/// ended badly; closed: the program is ending, nothing starts any more.
enum class ProcessState : std::uint8_t { stopped, starting, ready, stopping, failed, closed };

/// "stopped", "starting", … as in the API and the log.
[[nodiscard]] std::string_view process_state_name(ProcessState state) noexcept;

/// True when no process exists: stopped, failed or closed.
[[nodiscard]] bool is_at_rest(ProcessState state) noexcept;

/// How a process ended: waitid(2)'s code and signal, never mixed up.
struct ExitStatus {
    bool signaled = false;  ///< true: `value` is a signal number; false: an exit code
    int value = 0;

    /// "exit status 3" or "signal 9 (Killed)".
    [[nodiscard]] std::string describe() const;
    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

}  // namespace corral
