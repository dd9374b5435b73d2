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
    bool touches = true;        ///< the TTL counts from here
};
/// A process is ready, stopping, stopped, failed or closed now. `error`: how it failed, which is
/// what its waiters get when it was starting.
struct ProcessChanged {
    ModelId model;
    ProcessState state = ProcessState::stopped;
    std::optional<Error> error;
};
/// Those who wait are told; those in flight may end first, unless it is forced. A model that failed
/// is an unloaded one again.
struct Unload {
    ModelId model;
    bool force = false;  ///< those in flight lose their model now
};
/// Its failures are forgotten: the next request tries it at once.
struct Reset {
    ModelId model;
};
struct Reconfigure {
    std::shared_ptr<const Config> config;
};
struct Tick {};  ///< the time of the last WakeAt has come
struct Close {
    TimePoint deadline;  ///< leases still out then lose their model
};
using SchedulerEvent = std::variant<Request, Cancelled, Released, ProcessChanged, Unload, Reset,
                                    Reconfigure, Tick, Close>;

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
/// A model that failed is an unloaded one now: nothing is to be told of it any more.
struct Forget {
    ModelId model;
};
struct WakeAt {
    std::optional<TimePoint> at;  ///< replaces the last one; nullopt: no Tick is needed
};
using SchedulerCommand = std::variant<Grant, Refuse, Start, Stop, Forget, WakeAt>;

}  // namespace corral
