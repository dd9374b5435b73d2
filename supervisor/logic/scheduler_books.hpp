#pragma once
// What the scheduler writes down of each model and of those who wait. For Scheduler only, which is
// the only writer. Plain values.

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/time.hpp"
#include "supervisor/logic/process_state.hpp"
#include "supervisor/logic/restart_policy.hpp"
#include "supervisor/logic/scheduler_messages.hpp"
#include "supervisor/logic/seat.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace corral {

/// concurrencyLimit when the config says 0.
inline constexpr std::uint32_t default_concurrency_limit = 10;

namespace books {

struct Model {
    ModelId id;
    Seat seat = 0;
    std::int64_t priority = 0;
    ProcessState state = ProcessState::stopped;
    Generation generation = 0;
    std::uint64_t rules = 0;                        // which router its start was decided by
    std::shared_ptr<const ModelConfig> definition;  // of the current or last run
    std::uint32_t leases = 0;                       // of the current run
    std::uint32_t limit = default_concurrency_limit;
    Duration ttl{0};          // 0: never
    TimePoint idle_since{};   // end of the last response, or readiness
    TimePoint ready_since{};  // of the current or last run
    RestartPolicy restarts;
    std::optional<Error> last_error;      // of the last failure
    bool keep_alive = false;              // keepAlive: always
    bool kept = false;                    // it was ready and nobody told it to go since
    Ticket turn_until = 0;                // tickets up to here waited when it became ready…
    TimePoint turn_ends{};                // …and are served before the next swap, until then
    std::map<Ticket, TimePoint> waiting;  // by arrival, with its time
    std::size_t place = 0;                // in the order of the last pass, if it waits
    std::vector<Seat> plan;               // of its claim: who has to go for it
    std::optional<StopReason> drain;      // takes no one in; stops when its leases have ended
    bool configured = true;
    bool active = false;  // listed in active_
};

/// A waiting model that holds others back, and the world that it waits for: the models that run
/// when it has had its way, itself among them, those that leave anyway not counted.
struct Claim {
    const Model* model;
    std::vector<Seat> world;
};
struct Victims {
    std::vector<Model*> models;
    bool exact = true;
};

}  // namespace books
}  // namespace corral
