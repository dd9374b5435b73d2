// The table of ProcessFsm. Read it with docs/architecture.md, "The life of a model".
#include "supervisor/logic/process_fsm.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

namespace corral {

struct ProcessFsm::Step {
    const ProcessEvent& event;
    TimePoint now;
    std::vector<ProcessCommand> commands;
};

/// One action for each alternative of ProcessEvent, in its order.
struct ProcessFsm::Row {
    Action on_want_up;
    Action on_want_down;
    Action on_spawned;
    Action on_spawn_failed;
    Action on_healthy;
    Action on_stalled;
    Action on_exited;
    Action on_grace_begins;
    Action on_timer;
    Action on_close;
};

const ProcessFsm::Row& ProcessFsm::row_of(ProcessState state) noexcept {
    using F = ProcessFsm;
    constexpr Action no = &F::ignore;
    constexpr Action bad = &F::impossible;
    // A timer or a probe that was cancelled may still be delivered: ignored, never impossible.
    // clang-format off
    static constexpr std::array<Row, 6> table{{
        // WantUp, WantDown, Spawned, SpawnFailed, Healthy,
        // Stalled, Exited, GraceBegins, TimerFired, Close
        /* stopped  */ {&F::begin, no, bad, bad, no,
                        no, bad, no, no, &F::shut},
        /* starting */ {no, &F::abort_start, &F::begin_probing, &F::fail_spawn, &F::become_ready,
                        &F::stall, &F::end_early, no, &F::load_deadline, &F::close_start},
        /* ready    */ {no, &F::retire, bad, bad, no,
                        no, &F::crash, no, no, &F::close_ready},
        /* stopping */ {&F::remember_up, &F::hurry, &F::spawned_late, &F::finish, no,
                        no, &F::finish, &F::begin_grace, &F::escalate, &F::close_stopping},
        /* failed   */ {&F::begin, &F::forget, bad, bad, no,
                        no, bad, no, no, &F::shut},
        /* closed   */ {no, no, bad, bad, no,
                        no, bad, no, no, no},
    }};
    // clang-format on
    return table[static_cast<std::size_t>(state)];
}

std::vector<ProcessCommand> ProcessFsm::step(const ProcessEvent& event, TimePoint now) {
    const Row& row = row_of(state_);
    const std::array<Action, std::variant_size_v<ProcessEvent>> actions{
        row.on_want_up, row.on_want_down, row.on_spawned,      row.on_spawn_failed, row.on_healthy,
        row.on_stalled, row.on_exited,    row.on_grace_begins, row.on_timer,        row.on_close};
    Step step{event, now, {}};
    (this->*actions[event.index()])(step);
    return std::move(step.commands);
}

void ProcessFsm::check_invariants() const {
    const bool at_rest = state_ == ProcessState::stopped || state_ == ProcessState::failed ||
                         state_ == ProcessState::closed;
    if (state_ == ProcessState::closed && !closing_) {
        throw std::logic_error("ProcessFsm: closed without Close");
    }
    if (closing_ && (state_ == ProcessState::starting || state_ == ProcessState::ready)) {
        throw std::logic_error("ProcessFsm: alive after Close");
    }
    if (again_ && (state_ != ProcessState::stopping || closing_)) {
        throw std::logic_error("ProcessFsm: remembers a start that it cannot make");
    }
    if (at_rest && closing_ && state_ != ProcessState::closed) {
        throw std::logic_error("ProcessFsm: at rest but not closed");
    }
}

void ProcessFsm::ignore(Step&) {}

void ProcessFsm::impossible(Step& step) {
    throw std::logic_error("ProcessFsm: event " + std::to_string(step.event.index()) +
                           " in state " + std::string(process_state_name(state_)));
}

void ProcessFsm::move(Step& step, ProcessState to, Cause cause) {
    const ProcessState from = std::exchange(state_, to);
    step.commands.emplace_back(Announce{from, to, cause});
}

/// Arms the timer after which a stop becomes a kill.
void ProcessFsm::stop_in(Step& step, Duration grace) {
    stop_by_ = step.now + grace;
    step.commands.emplace_back(ArmTimer{stop_by_});
}

void ProcessFsm::begin(Step& step) {
    wanted_ = std::get<WantUp>(step.event);
    port_retried_ = false;
    killed_ = false;
    move(step, ProcessState::starting, Cause::wanted);
    // Armed before the launch: the deadline holds whatever the launch does.
    step.commands.emplace_back(ArmTimer{step.now + wanted_.load_timeout});
    step.commands.emplace_back(Spawn{false});
}

void ProcessFsm::begin_probing(Step& step) {
    step.commands.emplace_back(Probe{});
}

/// Nobody is served by a model that still loads, so there is nothing to be gentle about; but a
/// stop command may be the only thing that reaches what was started (a container).
void ProcessFsm::abort_start(Step& step) {
    stop_cause_ = Cause::told_to_stop;
    move(step, ProcessState::stopping, Cause::told_to_stop);
    if (wanted_.has_stop_command) {
        step.commands.emplace_back(Terminate{});
        grace_ = wanted_.stop_grace;
        stop_in(step, wanted_.stop_command_time + grace_);
    } else {
        killed_ = true;
        step.commands.emplace_back(Kill{});
        stop_in(step, kill_patience);
    }
}

void ProcessFsm::fail_spawn(Step& step) {
    step.commands.emplace_back(CancelTimer{});
    move(step, ProcessState::failed, Cause::spawn_failed);
}

void ProcessFsm::become_ready(Step& step) {
    step.commands.emplace_back(CancelTimer{});
    move(step, ProcessState::ready, Cause::healthy);
}

/// The overall deadline is not extended by the second attempt.
void ProcessFsm::end_early(Step& step) {
    if (std::get<Exited>(step.event).port_taken && !port_retried_) {
        port_retried_ = true;
        step.commands.emplace_back(Spawn{true});
        return;
    }
    step.commands.emplace_back(CancelTimer{});
    move(step, ProcessState::failed, Cause::died_early);
}

void ProcessFsm::load_deadline(Step& step) {
    give_up_start(step, Cause::not_ready);
}

void ProcessFsm::stall(Step& step) {
    give_up_start(step, Cause::stalled);
}

void ProcessFsm::give_up_start(Step& step, Cause cause) {
    stop_cause_ = cause;
    move(step, ProcessState::stopping, cause);
    step.commands.emplace_back(Terminate{});
    grace_ = wanted_.stop_grace;
    stop_in(step, wanted_.stop_command_time + grace_);
}

void ProcessFsm::retire(Step& step) {
    stop_cause_ = Cause::told_to_stop;
    move(step, ProcessState::stopping, Cause::told_to_stop);
    step.commands.emplace_back(Terminate{});
    const auto& [grace, commands_time] = std::get<WantDown>(step.event);
    grace_ = grace;
    stop_in(step, commands_time + grace);
}

void ProcessFsm::crash(Step& step) {
    move(step, ProcessState::failed, Cause::crashed);
}

void ProcessFsm::remember_up(Step& step) {
    if (!closing_) {
        again_ = std::get<WantUp>(step.event);
    }
}

/// A second wish to stop never prolongs the first, and takes back a remembered start.
void ProcessFsm::hurry(Step& step) {
    again_.reset();
    const auto& [grace, commands_time] = std::get<WantDown>(step.event);
    hurry_up(step, grace, commands_time);
}

void ProcessFsm::hurry_up(Step& step, Duration grace, Duration commands_time) {
    grace_ = std::min(grace_, grace);
    const TimePoint sooner = step.now + commands_time + grace;
    if (!killed_ && sooner < stop_by_) {
        stop_by_ = sooner;
        step.commands.emplace_back(ArmTimer{stop_by_});
    }
}

/// What the commands did not need of their time is not given to the process.
void ProcessFsm::begin_grace(Step& step) {
    const TimePoint sooner = step.now + grace_;
    if (!killed_ && sooner < stop_by_) {
        stop_by_ = sooner;
        step.commands.emplace_back(ArmTimer{stop_by_});
    }
}

void ProcessFsm::spawned_late(Step& step) {
    if (killed_) {
        step.commands.emplace_back(Kill{});
    } else {
        step.commands.emplace_back(Terminate{});
    }
}

/// Only here does a process count as gone: its memory is free now, not when it was killed.
void ProcessFsm::finish(Step& step) {
    step.commands.emplace_back(CancelTimer{});
    if (closing_) {
        move(step, ProcessState::closed, Cause::closing);
        return;
    }
    const bool gave_up = stop_cause_ == Cause::not_ready || stop_cause_ == Cause::stalled;
    const ProcessState rest = gave_up ? ProcessState::failed : ProcessState::stopped;
    move(step, rest, stop_cause_);
    if (again_) {
        const ProcessEvent up = *std::exchange(again_, std::nullopt);
        Step next{up, step.now, std::move(step.commands)};
        begin(next);
        step.commands = std::move(next.commands);
    }
}

void ProcessFsm::escalate(Step& step) {
    if (killed_) {
        step.commands.emplace_back(ReportStuck{});
    }
    killed_ = true;
    step.commands.emplace_back(Kill{});
    stop_in(step, kill_patience);
}

void ProcessFsm::forget(Step& step) {
    move(step, ProcessState::stopped, Cause::told_to_stop);
}

void ProcessFsm::shut(Step& step) {
    closing_ = true;
    move(step, ProcessState::closed, Cause::closing);
}

void ProcessFsm::close_start(Step& step) {
    closing_ = true;
    abort_start(step);
}

void ProcessFsm::close_ready(Step& step) {
    closing_ = true;
    stop_cause_ = Cause::closing;
    move(step, ProcessState::stopping, Cause::closing);
    step.commands.emplace_back(Terminate{});
    const auto& [grace, commands_time] = std::get<CloseProcess>(step.event);
    grace_ = grace;
    stop_in(step, commands_time + grace);
}

void ProcessFsm::close_stopping(Step& step) {
    closing_ = true;
    again_.reset();
    const auto& [grace, commands_time] = std::get<CloseProcess>(step.event);
    hurry_up(step, grace, commands_time);
}

std::string_view cause_name(Cause cause) noexcept {
    constexpr std::array<std::string_view, 9> names{"wanted",     "healthy",      "spawn_failed",
                                                    "died_early", "not_ready",    "stalled",
                                                    "crashed",    "told_to_stop", "closing"};
    const auto index = static_cast<std::size_t>(cause);
    return index < names.size() ? names[index] : "unknown";
}

}  // namespace corral
