// What must hold between two steps of the scheduler: for tests and the simulation. Pure.
#include "supervisor/logic/scheduler.hpp"

#include <algorithm>
#include <stdexcept>

namespace corral {

void Scheduler::check_model(const Model& model) const {
    const auto fail = [&](const char* what) {
        throw std::logic_error("Scheduler: model " + model.id.str() + ": " + what);
    };
    for (const auto& [ticket, arrived] : model.waiting) {
        const auto entry = waiting_.find(ticket);
        if (entry == waiting_.end() || entry->second != &model) {
            fail("a waiting ticket is not in the index");
        }
    }
    if (is_at_rest(model.state) && (model.leases != 0 || model.drain)) {
        fail("at rest, but leased or draining");
    }
    if (model.leases > 0 && model.state != ProcessState::ready && !close_by_) {
        fail("leased, but not ready");
    }
    if (model.drain && model.leases == 0) {
        fail("drained, but not stopped");
    }
    if (model.waiting.empty()) {
        return;
    }
    if (close_by_) {
        fail("somebody waits for a closed yard");
    }
    const bool could_go = is_at_rest(model.state) || (model.state == ProcessState::ready &&
                                                      !model.drain && model.leases < model.limit);
    if (could_go && !held(model) && victims(model).empty()) {
        fail("somebody waits and nothing is in the way");
    }
}

void Scheduler::check_invariants() const {
    std::size_t waiting = 0;
    for (const auto& [id, model] : models_) {
        waiting += model.waiting.size();
        const bool listed = std::find(active_.begin(), active_.end(), &model) != active_.end();
        if (listed != model.active ||
            listed != (!is_at_rest(model.state) || !model.waiting.empty())) {
            throw std::logic_error("Scheduler: the active list is wrong about " + id.str());
        }
        check_model(model);
    }
    if (waiting != waiting_.size()) {
        throw std::logic_error("Scheduler: the ticket index is wrong");
    }
    for (const Model* a : active_) {
        for (const Model* b : active_) {
            const bool both_run = a != b && !is_at_rest(a->state) && !is_at_rest(b->state);
            const bool same_rules = a->rules == rules_ && b->rules == rules_;
            if (both_run && same_rules && router_.evicts(a->seat, b->seat) &&
                router_.evicts(b->seat, a->seat)) {
                throw std::logic_error("Scheduler: " + a->id.str() + " and " + b->id.str() +
                                       " run together");
            }
        }
    }
}

}  // namespace corral
