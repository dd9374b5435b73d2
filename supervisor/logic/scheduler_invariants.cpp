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
    if (could_go && !held(model, {}) && victims(model).models.empty()) {
        fail("somebody waits and nothing is in the way");
    }
}

void Scheduler::check_invariants() const {
    std::size_t waiting = 0;
    for (const auto& [id, model] : models_) {
        waiting += model.waiting.size();
        const bool listed = std::find(active_.begin(), active_.end(), &model) != active_.end();
        if (listed != model.active ||
            listed != (!is_at_rest(model.state) || !model.waiting.empty() || model.kept)) {
            throw std::logic_error("Scheduler: the active list is wrong about " + id.str());
        }
        check_model(model);
    }
    if (waiting != waiting_.size()) {
        throw std::logic_error("Scheduler: the ticket index is wrong");
    }
    std::vector<Seat> together;  // what was started under these rules
    for (const Model* model : active_) {
        if (!is_at_rest(model->state) && model->rules == rules_) {
            together.push_back(model->seat);
        }
    }
    if (!router_.allows(together)) {
        throw std::logic_error("Scheduler: models run together that may not");
    }
}

}  // namespace corral
