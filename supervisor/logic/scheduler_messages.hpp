#pragma once
// The words that the scheduler and its shell exchange: events in, commands out. Plain values, to be
// carried out in their order. Any thread.

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/time.hpp"
#include "supervisor/logic/process_state.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

namespace corral {

/// A request's number; a later request has a greater one.
using Ticket = std::uint64_t;
/// One run of one model, from Start to its end; never used twice in a program's life. 0: none.
using Generation = std::uint64_t;

enum class StopReason : std::uint8_t { swap, ttl, unload, config, shutdown };
[[nodiscard]] std::string_view stop_reason_name(StopReason reason) noexcept;

/// Requires: `ticket` is greater than every one before.
struct Request {
    Ticket ticket = 0;
    ModelId model;
};
struct Cancelled {
    Ticket ticket = 0;  ///< whoever held it has gone; an answered or unknown one is ignored
};
struct Released {
    ModelId model;
    Generation generation = 0;  ///< as granted; that of an ended run is ignored
};
/// A process is ready, stopping, stopped, failed or closed now. `error`: what its waiters get when
/// it was starting.
struct ProcessChanged {
    ModelId model;
    ProcessState state = ProcessState::stopped;
    std::optional<Error> error;
};
struct Unload {
    ModelId model;
};
struct Reconfigure {
    std::shared_ptr<const Config> config;
};
struct Tick {};  ///< the time of the last WakeAt has come
struct Close {
    TimePoint deadline;  ///< leases still out then lose their model
};
using SchedulerEvent =
    std::variant<Request, Cancelled, Released, ProcessChanged, Unload, Reconfigure, Tick, Close>;

struct Grant {
    Ticket ticket = 0;
    ModelId model;
    Generation generation = 0;
};
struct Refuse {
    Ticket ticket = 0;
    Error error;
};
struct Start {
    ModelId model;
    Generation generation = 0;
};
struct Stop {
    ModelId model;
    StopReason reason = StopReason::swap;
};
struct WakeAt {
    std::optional<TimePoint> at;  ///< replaces the last one; nullopt: no Tick is needed
};
using SchedulerCommand = std::variant<Grant, Refuse, Start, Stop, WakeAt>;

}  // namespace corral
