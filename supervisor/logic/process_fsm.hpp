#pragma once
// The life of one model's process as a table: (state, event) → commands, next state. Pure: it reads
// no clock, touches no process and never logs; fleet/ feeds it and carries its commands out, in
// order. One per model; any thread, one at a time. Draining is the scheduler's business, not ours.

#include "core/time.hpp"
#include "supervisor/logic/process_state.hpp"

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace corral {

/// How long a process may stay stuck after SIGKILL before that is reported (and again, and again).
inline constexpr Duration kill_patience{5'000};

/// Why a process changed its state. The name (cause_name) is for the log.
enum class Cause : std::uint8_t {
    wanted,        ///< stopped → starting: somebody needs it
    healthy,       ///< starting → ready: the readiness check passed
    spawn_failed,  ///< starting → failed: nothing could be executed
    died_early,    ///< starting → failed: it ended before it was ready
    not_ready,     ///< starting → stopping → failed: the load deadline passed
    stalled,       ///< starting → stopping → failed: it did nothing for too long
    crashed,       ///< ready → failed: it ended by itself
    told_to_stop,  ///< → stopping → stopped: WantDown
    closing,       ///< → stopping → closed: Close
};
[[nodiscard]] std::string_view cause_name(Cause cause) noexcept;

/// Start; how long until it must be ready, how long it may take to stop after a failed start, and
/// whether it has a stop command (then even an unfinished start is stopped by that command), which
/// may take `stop_command_time`.
struct WantUp {
    Duration load_timeout{0};
    Duration stop_grace{0};
    bool has_stop_command = false;
    Duration stop_command_time{0};
};
/// Stop; SIGKILL after `grace`, which begins when the commands that come first (hooks, the stop
/// command) have ended, for which there is `commands_time`. A model that is still starting is
/// killed at once.
struct WantDown {
    Duration grace{0};
    Duration commands_time{0};
};
struct Spawned {};      ///< the process runs
struct SpawnFailed {};  ///< nothing runs
struct Healthy {};      ///< the readiness check passed
struct Stalled {};      ///< its start has done nothing for too long
struct GraceBegins {};  ///< the commands that come first have ended; it was told to end
/// The process and its tree are gone. `port_taken`: another port may help.
struct Exited {
    bool port_taken = false;
};
struct TimerFired {};  ///< the last armed timer
/// As WantDown, and nothing starts any more.
struct CloseProcess {
    Duration grace{0};
    Duration commands_time{0};
};
using ProcessEvent = std::variant<WantUp, WantDown, Spawned, SpawnFailed, Healthy, Stalled, Exited,
                                  GraceBegins, TimerFired, CloseProcess>;

struct Spawn {
    bool other_port = false;  ///< the port of the last attempt was taken
};
struct Probe {};  ///< begin to ask whether it is ready; the shell ends that by itself
struct ArmTimer {
    TimePoint at;  ///< replaces the timer armed before
};
struct CancelTimer {};
struct Terminate {
};               ///< hooks and the stop command, then SIGTERM; ends in GraceBegins if those ran
struct Kill {};  ///< SIGKILL to the tree
struct ReportStuck {};  ///< SIGKILL had no effect for kill_patience
struct Announce {
    ProcessState from{};
    ProcessState to{};
    Cause cause{};
};
using ProcessCommand =
    std::variant<Spawn, Probe, ArmTimer, CancelTimer, Terminate, Kill, ReportStuck, Announce>;

class ProcessFsm {
public:
    /// Throws std::logic_error for an event that cannot happen in this state (a defect of the
    /// shell).
    [[nodiscard]] std::vector<ProcessCommand> step(const ProcessEvent& event, TimePoint now);
    [[nodiscard]] ProcessState state() const noexcept { return state_; }
    /// Throws std::logic_error when the members contradict each other.
    void check_invariants() const;

private:
    struct Step;
    using Action = void (ProcessFsm::*)(Step&);
    struct Row;
    static const Row& row_of(ProcessState state) noexcept;

    void ignore(Step&);
    void impossible(Step&);
    void begin(Step&);
    void abort_start(Step&);
    void begin_probing(Step&);
    void fail_spawn(Step&);
    void become_ready(Step&);
    void end_early(Step&);
    void load_deadline(Step&);
    void stall(Step&);
    void give_up_start(Step&, Cause cause);
    void retire(Step&);
    void crash(Step&);
    void remember_up(Step&);
    void hurry(Step&);
    void spawned_late(Step&);
    void finish(Step&);
    void begin_grace(Step&);
    void escalate(Step&);
    void forget(Step&);
    void shut(Step&);
    void close_start(Step&);
    void close_ready(Step&);
    void close_stopping(Step&);

    void move(Step& step, ProcessState to, Cause cause);
    void stop_in(Step& step, Duration grace);
    void hurry_up(Step& step, Duration grace, Duration commands_time);

    ProcessState state_ = ProcessState::stopped;
    WantUp wanted_;                           // of the start in progress
    bool closing_ = false;                    // Close was seen
    bool port_retried_ = false;               // one retry a start
    bool killed_ = false;                     // SIGKILL was sent
    Cause stop_cause_ = Cause::told_to_stop;  // why it is stopping
    TimePoint stop_by_{};                     // when the armed stop timer fires
    Duration grace_{0};                       // of the stop in progress
    std::optional<WantUp> again_;             // WantUp while stopping
};

}  // namespace corral
