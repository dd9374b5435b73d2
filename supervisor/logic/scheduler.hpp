#pragma once
// Who runs, who waits, who may use which model: the whole decision of the yard, pure. Requests come
// in as tickets and leave as exactly one Grant or Refuse (or by their own Cancelled). It reads no
// clock, logs nothing and calls nobody: step(event, now) → commands, to be carried out in order.
// fleet/ is the shell around it, tests/sim the simulation. Any thread, one at a time.
//
// The rules (docs/architecture.md, "Waiting for a model"):
//  - A request for a ready model is granted at once, up to its concurrency limit, beyond which it
//    is refused; requests that wait for a load join it and are never refused for that limit.
//  - A model that is leased is never stopped for another one. Victims are stopped together when
//    all of them are idle, and the target starts when all of them have ended.
//  - When a model becomes ready, everyone who waited for it then has his turn before the next
//    swap.
//  - Otherwise models are decided in the order of their oldest requests: those that have waited for
//    max_wait first, by arrival; then by priority, the higher first; then by arrival. So a stream
//    of requests of high priority overtakes a lower one for max_wait only, and then no more.
//  - A model that failed again and again rests: requests for it are refused (cooling_down) until
//    its time has come (restart_policy.hpp). One that is kept alive is started again without being
//    asked for, where nothing has to go for it.
//  - A request that is older than max_wait keeps the models that it needs gone from taking newer
//    requests, and starts that would not fit beside it from happening; and so does a swap under
//    way. Whom it needs gone stays the same while it waits, unless that becomes impossible.

#include "core/config.hpp"
#include "core/time.hpp"
#include "supervisor/logic/process_state.hpp"
#include "supervisor/logic/router.hpp"
#include "supervisor/logic/scheduler_books.hpp"
#include "supervisor/logic/scheduler_messages.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace corral {

/// How long requests for running models may overtake one that waits for their place, where the
/// config does not say (limits.maxWait). Also how long a model's turn lasts at most while another
/// one waits.
inline constexpr Duration max_wait = Limits().max_wait;
class Scheduler {
public:
    explicit Scheduler(std::shared_ptr<const Config> config);

    [[nodiscard]] std::vector<SchedulerCommand> step(const SchedulerEvent& event, TimePoint now);

    /// What it believes about one model; zeros for an unknown one.
    struct View {
        ProcessState state = ProcessState::stopped;
        Generation generation = 0;  ///< of the current or last run
        std::uint32_t in_flight = 0;
        std::uint32_t waiting = 0;
        bool serving = false;               ///< ready, and not told to go
        std::uint32_t failures = 0;         ///< in a row
        std::optional<TimePoint> retry_at;  ///< it rests until then
    };
    [[nodiscard]] View view(const ModelId& model, TimePoint now = TimePoint::max()) const;
    /// How many requests for other models came before this one and wait, too; of an older model's
    /// turn, a priority or a limit it knows nothing. 0 for a ticket that does not wait.
    [[nodiscard]] std::uint32_t ahead_of(Ticket ticket) const;
    /// True when no process runs and nobody waits.
    [[nodiscard]] bool idle() const noexcept;
    /// True from Close on.
    [[nodiscard]] bool closing() const noexcept { return close_by_.has_value(); }
    /// How many questions of who has to go were too hard for the matrix's bound of work: what was
    /// evicted then was enough, but others might have cost less.
    [[nodiscard]] std::uint64_t rough_decisions() const noexcept { return rough_decisions_; }

    /// Throws std::logic_error when its books do not balance, or when somebody waits although
    /// nothing is in his way.
    void check_invariants() const;

private:
    using Model = books::Model;
    using Claim = books::Claim;
    using Victims = books::Victims;

    void on(const Request& event, TimePoint now);
    void on(const Cancelled& event, TimePoint now);
    void on(const Released& event, TimePoint now);
    void on(const ProcessChanged& event, TimePoint now);
    void on(const Unload& event, TimePoint now);
    void on(const Reset& event, TimePoint now);
    void on(const Reconfigure& event, TimePoint now);
    void on(const Tick& event, TimePoint now);
    void on(const Close& event, TimePoint now);

    void keep_or_drain(Model& model, const ModelConfig* config);
    void settle(TimePoint now);
    void stop_drained();
    void refuse_resting(TimePoint now);
    void revive(TimePoint now);
    void forget_failures(Model& model);
    void stop_everything(TimePoint now);
    void serve_waiting(TimePoint now);
    void serve(Model& model, TimePoint now);
    bool advance(Model& model, const std::vector<Model*>& in_the_way);
    void claim(Model& model, const std::vector<Model*>& in_the_way, bool is_held);
    void note_running();
    void expire_idle(TimePoint now);
    void arm_wake(TimePoint now);
    void forget_resting();

    void grant_oldest(Model& model);
    void refuse(Ticket ticket, Errc code, Blame blame, std::string detail);
    void refuse_waiting(Model& model, const Error& error);
    void start(Model& model);
    void stop(Model& model, StopReason reason);
    void activate(Model& model);

    [[nodiscard]] Model* find(const ModelId& id);
    [[nodiscard]] Victims victims(const Model& target) const;
    [[nodiscard]] bool leaving(const Model& model, const Model& target) const;
    [[nodiscard]] bool held(const Model& model, const std::vector<Model*>& in_the_way) const;
    [[nodiscard]] bool busy(const Model& model) const noexcept;
    [[nodiscard]] bool expires(const Model& model) const noexcept;
    [[nodiscard]] static bool wants_revival(const Model& model) noexcept;
    [[nodiscard]] static Error rests(const Model& model, TimePoint now);
    void check_model(const Model& model) const;

    std::shared_ptr<const Config> config_;
    Router router_;
    std::uint64_t rules_ = 1;  // counts routers
    std::unordered_map<ModelId, Model> models_;
    std::vector<Model*> active_;  // running, waited for or to be revived; the rest costs nothing
    std::unordered_map<Ticket, Model*> waiting_;
    std::vector<Claim> claims_;    // of the last pass: who holds others back, in turn
    std::vector<Model*> running_;  // of the last pass: all processes, victims included
    std::uint64_t rough_decisions_ = 0;
    Ticket last_ticket_ = 0;
    Generation last_generation_ = 0;
    std::optional<TimePoint> close_by_;  // closing since Close
    std::optional<TimePoint> wake_at_;
    std::vector<SchedulerCommand> out_;
};

}  // namespace corral
