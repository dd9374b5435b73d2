// Who is in whose way: the models that run, those that have to go for another one, and what those
// who wait and may not be overtaken hold back. Worlds are lists of seats: what a claim waits for.
#include "supervisor/logic/scheduler.hpp"

#include <algorithm>

namespace corral {
namespace {

bool contains(const std::vector<Seat>& seats, Seat seat) {
    return std::find(seats.begin(), seats.end(), seat) != seats.end();
}

}  // namespace

/// Once a pass: a stop leaves a model here until it has ended, a start adds it.
void Scheduler::note_running() {
    running_.clear();
    std::copy_if(active_.begin(), active_.end(), std::back_inserter(running_),
                 [](const Model* model) { return !is_at_rest(model->state); });
}

/// True when `model` goes whatever is decided now, or was already chosen to go for `target`.
bool Scheduler::leaving(const Model& model, const Model& target) const {
    return model.state == ProcessState::stopping || model.drain ||
           contains(target.plan, model.seat);
}

Scheduler::Victims Scheduler::victims(const Model& target) const {
    std::vector<Runner> runners;
    std::vector<Model*> models;
    for (Model* model : running_) {
        // A target that stops is one that starts again: what it finds then is what counts.
        if (model != &target || target.state == ProcessState::ready) {
            runners.push_back({model->seat, leaving(*model, target)});
            models.push_back(model);
        }
    }
    const Evictions evictions = router_.evictions(target.seat, runners);
    Victims out;
    out.exact = evictions.exact;
    for (const std::size_t position : evictions.positions) {
        if (models[position] != &target) {
            out.models.push_back(models[position]);
        }
    }
    return out;
}

/// Held back by a request before it: whose model needs this one gone if it runs, or would not fit
/// beside it if it started.
bool Scheduler::held(const Model& model, const std::vector<Model*>& in_the_way) const {
    std::vector<Seat> gone;
    std::transform(in_the_way.begin(), in_the_way.end(), std::back_inserter(gone),
                   [](const Model* other) { return other->seat; });
    return std::any_of(claims_.begin(), claims_.end(), [&](const Claim& claim) {
        if (claim.model->place >= model.place) {
            return false;
        }
        return model.state == ProcessState::ready
                   ? !contains(claim.world, model.seat)
                   : !router_.fits(model.seat, claim.model->seat, claim.world, gone);
    });
}

/// From now on in this pass nothing happens that is not compatible with this model's place. One
/// that is held back itself claims what it will need after those before it.
void Scheduler::claim(Model& model, const std::vector<Model*>& in_the_way, bool is_held) {
    std::vector<Seat> world;
    if (!claims_.empty()) {
        world = claims_.back().world;
    } else {
        for (const Model* other : running_) {
            if (other->state != ProcessState::stopping && !other->drain) {
                world.push_back(other->seat);
            }
        }
    }
    std::vector<Seat> gone;
    if (is_held) {
        std::vector<Runner> runners;
        for (const Seat seat : world) {
            runners.push_back({seat, contains(model.plan, seat)});
        }
        for (const std::size_t position : router_.evictions(model.seat, runners).positions) {
            gone.push_back(world[position]);
        }
    } else {
        for (const Model* other : in_the_way) {
            gone.push_back(other->seat);
        }
    }
    std::erase_if(world, [&](Seat seat) { return seat == model.seat || contains(gone, seat); });
    world.push_back(model.seat);
    model.plan.clear();
    for (const Model* other : running_) {
        if (!contains(world, other->seat)) {
            model.plan.push_back(other->seat);
        }
    }
    claims_.push_back({&model, std::move(world)});
}

}  // namespace corral
