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

/// Who ended a process, as far as it can be told.
enum class Ending : std::uint8_t {
    plain,         ///< by itself, as Corral asked it to, or by a signal that explains itself
    memory_limit,  ///< its tree had more than the model's `limits.memory`: ended for that
    oom_killer,    ///< the kernel's OOM killer took it: the machine or the service had no more
    killed,        ///< SIGKILL that Corral did not send and the kernel did not count as its own
};

/// How a process ended: waitid(2)'s code and signal, never mixed up.
struct ExitStatus {
    bool signaled = false;  ///< true: `value` is a signal number; false: an exit code
    int value = 0;
    Ending ending = Ending::plain;
    std::uint64_t memory_limit = 0;  ///< bytes; of Ending::memory_limit
    std::uint64_t memory_bytes = 0;  ///< what it had then; 0: not known

    /// "exit status 3", "signal 9 (Killed)", "ended by Corral: memory limit of 2.0 GiB reached (had
    /// 2.1 GiB)" or "killed by the kernel's OOM killer".
    [[nodiscard]] std::string describe() const;
    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

}  // namespace corral
