// The scheduler: events change the books, then settle() decides everything anew from them. Nothing
// is decided twice in two places, so that a new event cannot forget a case.
#include "supervisor/logic/scheduler.hpp"

#include "core/config_difference.hpp"

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace corral {
namespace {

std::string quoted(const ModelId& model) {
    return "\"" + model.str() + "\"";
}

Error not_found(const ModelId& model) {
    return {Errc::model_not_found, Blame::client,
            "there is no model " + quoted(model) +
                ". What to do: choose one of those that GET /v1/models lists."};
}

/// Whether a failure of the one says nothing of the other. The port is given by the order of the
/// models.
bool is_another(const ModelConfig& before, const ModelConfig& after) {
    ModelConfig same_port = before;
    same_port.port = after.port;
    return same_port != after;
}

}  // namespace

Scheduler::Scheduler(std::shared_ptr<const Config> config) {
    on(Reconfigure{std::move(config)}, TimePoint{});
}

std::vector<SchedulerCommand> Scheduler::step(const SchedulerEvent& event, TimePoint now) {
    out_.clear();
    std::visit([&](const auto& alternative) { on(alternative, now); }, event);
    settle(now);
    return std::exchange(out_, {});
}

// ---- events change the books --------------------------------------------------------------------

void Scheduler::on(const Request& event, TimePoint now) {
    if (event.ticket <= last_ticket_) {
        throw std::logic_error("Scheduler: tickets must grow");
    }
    last_ticket_ = event.ticket;
    if (close_by_) {
        refuse(event.ticket, Errc::shutting_down, Blame::internal,
               "Corral is shutting down. What to do: try again when it is back.");
        return;
    }
    Model* model = find(event.model);
    if (model == nullptr || !model->configured) {
        out_.emplace_back(Refuse{event.ticket, not_found(event.model)});
        return;
    }
    if (model->state == ProcessState::ready && !model->drain && model->leases >= model->limit) {
        refuse(event.ticket, Errc::concurrency_limit, Blame::client,
               "model " + quoted(model->id) + " already serves " + std::to_string(model->limit) +
                   " requests, its concurrencyLimit. What to do: try again in a moment.");
        return;
    }
    if (model->waiting.size() >= config_->limits.waiting_per_model) {
        refuse(event.ticket, Errc::overloaded, Blame::internal,
               std::to_string(model->waiting.size()) + " requests already wait for model " +
                   quoted(model->id) + ". What to do: try again later.");
        return;
    }
    if (model->waiting.empty()) {
        model->plan.clear();
    }
    model->waiting.emplace(event.ticket, now);
    waiting_.emplace(event.ticket, model);
    activate(*model);
}

void Scheduler::on(const Cancelled& event, TimePoint) {
    const auto found = waiting_.find(event.ticket);
    if (found != waiting_.end()) {
        found->second->waiting.erase(event.ticket);
        waiting_.erase(found);
    }
}

void Scheduler::on(const Released& event, TimePoint now) {
    Model* model = find(event.model);
    // After a crash the books of that run are closed already; its leases come back one by one.
    if (model == nullptr || model->generation != event.generation || model->leases == 0) {
        return;
    }
    --model->leases;
    model->restarts.reset();  // it has served
    if (event.touches) {
        model->idle_since = now;
    }
}

void Scheduler::on(const ProcessChanged& event, TimePoint now) {
    Model* model = find(event.model);
    if (model == nullptr) {
        return;
    }
    const bool was_starting = model->state == ProcessState::starting;
    if (event.state == ProcessState::ready) {
        if (was_starting) {
            model->state = ProcessState::ready;
            model->idle_since = now;
            model->ready_since = now;
            if (!model->keep_alive) {  // its next start is somebody's wish, never a loop
                model->restarts.reset();
            }
            model->kept = model->keep_alive && !model->drain;
            model->turn_until = last_ticket_;
            model->turn_ends = now + config_->limits.max_wait;
        }
        return;
    }
    if (event.state == ProcessState::stopping) {
        model->state = ProcessState::stopping;  // the start took too long; we did not ask for it
        model->drain.reset();
    } else if (is_at_rest(event.state)) {
        if (event.state == ProcessState::failed) {
            const bool was_ready = model->state == ProcessState::ready;
            model->restarts.failed(
                now, was_ready ? std::chrono::duration_cast<Duration>(now - model->ready_since)
                               : Duration::zero());
            model->last_error = event.error;
        }
        model->state = event.state;
        model->leases = 0;
        model->drain.reset();
    }
    // A model that crashed while it was ready is started again for those who wait; a start that
    // failed is an answer to all who waited for it.
    if (was_starting && event.error) {
        refuse_waiting(*model, *event.error);
    }
}

void Scheduler::on(const Unload& event, TimePoint) {
    Model* model = find(event.model);
    if (model == nullptr) {
        return;
    }
    model->kept = false;
    forget_failures(*model);
    refuse_waiting(*model, {Errc::unloaded, Blame::internal,
                            "model " + quoted(model->id) +
                                " was unloaded while the request waited for it. What to do: send "
                                "the request again, which loads the model again."});
    if (model->state == ProcessState::starting || model->state == ProcessState::ready) {
        model->drain = StopReason::unload;
    }
    if (event.force && model->leases > 0) {
        model->leases = 0;  // the books of this run are closed, as after a crash
        stop(*model, StopReason::unload);
    }
}

void Scheduler::on(const Reconfigure& event, TimePoint) {
    config_ = event.config;
    const Router old_router = std::exchange(router_, Router(*config_));
    ++rules_;
    for (auto& [id, model] : models_) {
        model.plan.clear();
        const ModelConfig* config = config_->find_id(id);
        if (config == nullptr) {
            refuse_waiting(model, not_found(id));
            model.configured = false;
            model.kept = false;
            model.seat = router_.adopt(old_router, model.seat, id);
        } else {
            model.configured = true;
            model.seat = router_.seat(id);
        }
        keep_or_drain(model, config);
    }
    for (const ModelConfig& config : config_->models) {
        Model& model = models_[config.id];
        if (model.id.empty()) {
            model.id = config.id;
            model.seat = router_.seat(config.id);
        }
        model.limit =
            config.concurrency_limit != 0 ? config.concurrency_limit : default_concurrency_limit;
        model.ttl = config.ttl;
        model.priority = config.priority;
        model.keep_alive = config.keep_alive;
        model.kept = model.kept && model.keep_alive;
    }
    claims_.clear();
    running_.clear();
    std::erase_if(models_, [](const auto& entry) {
        return !entry.second.configured && !entry.second.active;
    });
}

/// A process goes on when its definition is what it was started with: also one that a config in
/// between had changed or removed, if it has not ended yet.
void Scheduler::keep_or_drain(Model& model, const ModelConfig* config) {
    if (model.restarts.failures() > 0 && config != nullptr && model.definition &&
        is_another(*model.definition, *config)) {
        model.restarts.reset();
    }
    if (model.state != ProcessState::starting && model.state != ProcessState::ready) {
        if (is_at_rest(model.state) && config != nullptr) {
            model.definition = {config_, config};
        }
        return;
    }
    if (config != nullptr && same_process(*model.definition, *config)) {
        model.definition = {config_, config};  // so that the old config can go
        if (model.drain == StopReason::config) {
            model.drain.reset();
        }
    } else if (!model.drain) {
        model.drain = StopReason::config;
    }
}

void Scheduler::on(const Tick&, TimePoint) {
    wake_at_.reset();
}

void Scheduler::on(const Close& event, TimePoint) {
    close_by_ = close_by_ ? std::min(*close_by_, event.deadline) : event.deadline;
    for (Model* model : active_) {
        model->kept = false;
        refuse_waiting(*model, {Errc::shutting_down, Blame::internal,
                                "Corral is shutting down. What to do: try again when it is back."});
    }
}

// ---- the books decide ---------------------------------------------------------------------------

void Scheduler::settle(TimePoint now) {
    if (close_by_) {
        stop_everything(now);
    } else {
        stop_drained();
        refuse_resting(now);
        serve_waiting(now);
        revive(now);
        expire_idle(now);
    }
    forget_resting();
    arm_wake(now);
}

void Scheduler::stop_everything(TimePoint now) {
    for (Model* model : active_) {
        const bool idle = model->state == ProcessState::ready && model->leases == 0;
        const bool alive =
            model->state == ProcessState::ready || model->state == ProcessState::starting;
        if (alive && (idle || model->state == ProcessState::starting || now >= *close_by_)) {
            stop(*model, StopReason::shutdown);
        }
    }
}

void Scheduler::stop_drained() {
    for (Model* model : active_) {
        if (model->drain && model->leases == 0) {
            stop(*model, *model->drain);
        }
    }
}

/// First those whose turn it is. Then all who wait, in the order of the rules: each takes what is
/// free, makes room, or holds back the later ones. That order is total, so nobody waits in a
/// circle.
void Scheduler::serve_waiting(TimePoint now) {
    claims_.clear();
    std::vector<Model*> queue;
    for (Model* model : active_) {
        if (model->state == ProcessState::ready && !model->drain && now < model->turn_ends) {
            while (!model->waiting.empty() && model->leases < model->limit &&
                   model->waiting.begin()->first <= model->turn_until) {
                grant_oldest(*model);
            }
        }
        if (!model->waiting.empty()) {
            queue.push_back(model);
        }
    }
    if (queue.empty()) {
        return;
    }
    note_running();
    const auto rank = [&](const Model* model) {
        const auto& [ticket, arrived] = *model->waiting.begin();
        const bool overdue = now - arrived >= config_->limits.max_wait;
        return std::tuple(!overdue, overdue ? 0 : ~model->priority, ticket);  // ~: the higher first
    };
    std::sort(queue.begin(), queue.end(),
              [&](const Model* a, const Model* b) { return rank(a) < rank(b); });
    for (std::size_t i = 0; i < queue.size(); ++i) {
        queue[i]->place = i;
        serve(*queue[i], now);
    }
}

void Scheduler::serve(Model& model, TimePoint now) {
    // A load under way belongs to its waiters already; what drains is decided again when it ended.
    if (model.state == ProcessState::starting || model.drain) {
        return;
    }
    const bool overdue = now - model.waiting.begin()->second >= config_->limits.max_wait;
    const Victims found = victims(model);
    rough_decisions_ += found.exact ? 0U : 1U;
    const bool is_held = held(model, found.models);
    const bool swapping = !is_held && advance(model, found.models);
    if (model.waiting.empty() || model.state == ProcessState::starting) {
        return;
    }
    if (overdue || swapping) {
        claim(model, found.models, is_held);
    } else {
        model.plan.clear();
    }
}

/// Grants, starts, or makes room for a model whose turn nobody before it disputes. True when its
/// place is being made: everything in its way is on its way out.
bool Scheduler::advance(Model& model, const std::vector<Model*>& in_the_way) {
    if (model.state == ProcessState::ready && model.leases >= model.limit) {
        return false;
    }
    if (in_the_way.empty()) {
        if (model.state == ProcessState::ready) {
            while (!model.waiting.empty() && model.leases < model.limit) {
                grant_oldest(model);
            }
            return false;
        }
        if (is_at_rest(model.state)) {
            start(model);
            return false;
        }
        return true;  // it is stopping itself and starts again then
    }
    if (std::any_of(in_the_way.begin(), in_the_way.end(),
                    [this](const Model* other) { return busy(*other); })) {
        return false;
    }
    for (Model* other : in_the_way) {
        if (other->state == ProcessState::ready) {
            stop(*other, StopReason::swap);
        }
    }
    return true;
}

void Scheduler::expire_idle(TimePoint now) {
    for (Model* model : active_) {
        if (expires(*model) && now >= model->idle_since + model->ttl) {
            stop(*model, StopReason::ttl);
        }
    }
}

void Scheduler::arm_wake(TimePoint now) {
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint at) { next = next ? std::min(*next, at) : at; };
    for (const Model* model : active_) {
        if (expires(*model)) {
            consider(model->idle_since + model->ttl);
        }
        if (wants_revival(*model) && model->restarts.resting(now)) {
            consider(model->restarts.retry_at());
        }
        if (close_by_ && model->state == ProcessState::ready) {
            consider(*close_by_);
        }
    }
    if (next != wake_at_) {
        wake_at_ = next;
        out_.emplace_back(WakeAt{next});
    }
}

/// Models at rest that nobody waits for leave the list; those of an old config leave altogether.
void Scheduler::forget_resting() {
    std::erase_if(active_, [](Model* model) {
        model->active = !is_at_rest(model->state) || !model->waiting.empty() || model->kept;
        return !model->active;
    });
    if (models_.size() > config_->models.size()) {
        std::erase_if(models_, [](const auto& entry) {
            return !entry.second.configured && !entry.second.active;
        });
    }
}

// ---- the small steps ----------------------------------------------------------------------------

void Scheduler::grant_oldest(Model& model) {
    const Ticket ticket = model.waiting.begin()->first;
    model.waiting.erase(model.waiting.begin());
    waiting_.erase(ticket);
    ++model.leases;
    out_.emplace_back(Grant{ticket, model.id, model.generation});
}

void Scheduler::refuse(Ticket ticket, Errc code, Blame blame, std::string detail) {
    out_.emplace_back(Refuse{ticket, Error(code, blame, std::move(detail))});
}

void Scheduler::refuse_waiting(Model& model, const Error& error) {
    for (const auto& [ticket, arrived] : model.waiting) {
        waiting_.erase(ticket);
        out_.emplace_back(Refuse{ticket, error});
    }
    model.waiting.clear();
}

void Scheduler::start(Model& model) {
    model.state = ProcessState::starting;
    model.generation = ++last_generation_;
    model.rules = rules_;
    model.definition = {config_, config_->find_id(model.id)};
    running_.push_back(&model);
    for (Claim& other : claims_) {  // which it fits
        other.world.push_back(model.seat);
    }
    out_.emplace_back(Start{model.id, model.generation});
}

void Scheduler::stop(Model& model, StopReason reason) {
    model.state = ProcessState::stopping;
    model.drain.reset();
    model.kept = false;
    out_.emplace_back(Stop{model.id, reason});
}

void Scheduler::activate(Model& model) {
    if (!std::exchange(model.active, true)) {
        active_.push_back(&model);
    }
}

Scheduler::Model* Scheduler::find(const ModelId& id) {
    const auto found = models_.find(id);
    return found != models_.end() ? &found->second : nullptr;
}

bool Scheduler::busy(const Model& model) const noexcept {
    return model.leases > 0 || model.state == ProcessState::starting;
}

bool Scheduler::expires(const Model& model) const noexcept {
    return model.state == ProcessState::ready && model.leases == 0 && model.waiting.empty() &&
           !model.drain && model.ttl > Duration::zero() && !close_by_;
}

Scheduler::View Scheduler::view(const ModelId& model, TimePoint now) const {
    const auto found = models_.find(model);
    if (found == models_.end()) {
        return {};
    }
    const Model& m = found->second;
    View out;
    out.state = m.state;
    out.generation = m.generation;
    out.in_flight = m.leases;
    out.waiting = static_cast<std::uint32_t>(m.waiting.size());
    out.serving = m.state == ProcessState::ready && !m.drain && !close_by_;
    out.failures = m.restarts.failures();
    if (m.restarts.resting(now)) {
        out.retry_at = m.restarts.retry_at();
    }
    return out;
}

std::uint32_t Scheduler::ahead_of(Ticket ticket) const {
    const auto own = waiting_.find(ticket);
    if (own == waiting_.end()) {
        return 0;
    }
    return static_cast<std::uint32_t>(std::count_if(
        waiting_.begin(), waiting_.end(),
        [&](const auto& other) { return other.first < ticket && other.second != own->second; }));
}

bool Scheduler::idle() const noexcept {
    return active_.empty();
}

}  // namespace corral
