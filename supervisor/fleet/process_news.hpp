#pragma once
// A transition of a model's process, as the yard, and whoever listens to the fleet, hears of it.
// Plain values.

#include "core/error.hpp"
#include "core/failure.hpp"
#include "core/ids.hpp"
#include "core/time.hpp"
#include "supervisor/logic/process_fsm.hpp"
#include "supervisor/logic/process_state.hpp"
#include "supervisor/logic/scheduler_messages.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

namespace corral {

struct ProcessNews {
    ModelId model;
    Generation generation = 0;
    ProcessState from = ProcessState::stopped;
    ProcessState state = ProcessState::stopped;  ///< the one that it is in now
    Cause cause = Cause::wanted;
    std::optional<StopReason> reason;            ///< why it was told to stop, if it was
    std::chrono::system_clock::time_point when;  ///< for people
    Duration lasted{0};                          ///< how long it was in `from`
    Duration since_start{0};                     ///< from the wish to start it
    pid_t pid = 0;                               ///< of the current or last run; 0: none yet
    std::optional<Error> error;                  ///< how it failed: for those who wait for a start
    std::string ending;  ///< how the process ended; empty while it lives or never lived
    std::shared_ptr<const Failure> failure;  ///< null unless it failed
};

}  // namespace corral
