// Models that fail: which of them rest, what is told of them, and which are started again without
// being asked for.
#include "core/failure.hpp"
#include "supervisor/logic/scheduler.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace corral {

void Scheduler::on(const Reset& event, TimePoint) {
    if (Model* model = find(event.model)) {
        forget_failures(*model);
    }
}

/// One that failed shows no more that it did.
void Scheduler::forget_failures(Model& model) {
    model.restarts.reset();
    if (model.state == ProcessState::failed) {
        model.state = ProcessState::stopped;
        out_.emplace_back(Forget{model.id});
    }
}

void Scheduler::refuse_resting(TimePoint now) {
    for (Model* model : active_) {
        if (!model->waiting.empty() && is_at_rest(model->state) && model->restarts.resting(now)) {
            refuse_waiting(*model, rests(*model, now));
        }
    }
}

/// Starts what is to be kept alive and has ended by itself, once nobody else wants anything of its
/// place; whoever has taken the place keeps it.
void Scheduler::revive(TimePoint now) {
    for (Model* model : active_) {
        if (!wants_revival(*model) || !model->waiting.empty() || model->restarts.resting(now)) {
            continue;
        }
        note_running();
        model->place = active_.size();  // behind everyone who waits
        model->plan.clear();
        const Victims found = victims(*model);
        const bool leaves =
            std::all_of(found.models.begin(), found.models.end(),
                        [](const Model* other) { return other->state == ProcessState::stopping; });
        if (held(*model, found.models) || !leaves) {
            model->kept = false;
        } else if (found.models.empty()) {
            start(*model);
        }
    }
}

bool Scheduler::wants_revival(const Model& model) noexcept {
    return model.kept && is_at_rest(model.state);
}

/// What is told of a model that rests: when it is tried again, and how it failed last.
Error Scheduler::rests(const Model& model, TimePoint now) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(model.restarts.retry_at() - now);
    Error out(Errc::cooling_down, Blame::upstream,
              "model \"" + model.id.str() + "\" failed " +
                  std::to_string(model.restarts.failures()) +
                  " times in a row and is not tried again for " + std::to_string(left.count()) +
                  " s. What to do: mend it; then change its configuration, load it or reset it "
                  "(POST /api/models/reset/…), or wait.");
    Failure failure;
    if (model.last_error) {
        out.detail += " The last time: " + model.last_error->detail;
        failure = model.last_error->failure ? *model.last_error->failure : Failure();
    }
    failure.retry_after = left;
    out.failure = std::make_shared<const Failure>(std::move(failure));
    return out;
}

}  // namespace corral
