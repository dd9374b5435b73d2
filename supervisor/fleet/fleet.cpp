// The door: coroutines that wait for what the yard does. Each holds the yard by shared_ptr, so that
// it may outlive the Fleet object.
#include "supervisor/fleet/fleet.hpp"

#include "core/log.hpp"
#include "supervisor/fleet/yard.hpp"

#include <algorithm>
#include <utility>

namespace corral {

namespace asio = boost::asio;

namespace {

constexpr Duration grace_max = std::chrono::hours(24);  // keeps sums of times far from overflow
constexpr Duration join_time{5'000};  // for stop commands that are still running at the end

Error cancelled() {
    return {Errc::cancelled, Blame::client, "whoever asked has gone"};
}

asio::awaitable<Result<Lease>> wait_for_lease(std::shared_ptr<Yard> yard, ModelId model,
                                              TimePoint deadline, Fleet::OnWait on_wait,
                                              Touches touches) {
    Yard::Waiter waiter(yard, model, touches);
    if (!waiter.answer) {
        if (on_wait) {
            on_wait(waiter.ticket());
        }
        const Woken woken = co_await waiter.woken.wait(deadline);
        if (!waiter.answer && woken == Woken::cancelled) {
            co_return cancelled();
        }
        if (!waiter.answer) {
            co_return Error(Errc::timed_out, Blame::upstream,
                            "model \"" + log::clean(model.str()) +
                                "\" was not free in time. What to do: try again later.");
        }
    }
    co_return std::move(*waiter.answer);
}

/// Until these runs have ended. False when the wait was cancelled.
asio::awaitable<bool> wait_until_ended(std::shared_ptr<Yard> yard, ModelId model,
                                       Generation generation) {
    while (yard->runs(model, generation)) {
        const Woken woken = co_await yard->changed().wait(TimePoint::max());
        if (woken == Woken::cancelled) {
            co_return false;
        }
    }
    co_return true;
}

Error no_such_model(const ModelId& model) {
    return {Errc::model_not_found, Blame::client,
            "there is no model \"" + log::clean(model.str()) +
                "\". What to do: choose one of those that GET /v1/models lists."};
}

asio::awaitable<void> wait_until_told_to_go(std::shared_ptr<Yard> yard, ModelId model,
                                            Generation generation) {
    while (yard && yard->serves(model, generation)) {
        const Woken woken = co_await yard->changed().wait(TimePoint::max());
        if (woken == Woken::cancelled) {
            co_return;
        }
    }
}

asio::awaitable<Result<void>> unload_one(std::shared_ptr<Yard> yard, ModelId model, Unloading how) {
    if (!yard->knows(model)) {
        co_return no_such_model(model);
    }
    const Generation generation = yard->view(model).generation;
    yard->post(Unload{model, how == Unloading::forced});
    const bool ended = co_await wait_until_ended(yard, model, generation);
    if (!ended) {
        co_return cancelled();
    }
    co_return Result<void>();
}

asio::awaitable<void> unload_every(std::shared_ptr<Yard> yard, Unloading how) {
    const std::vector<ModelId> models = yard->known();
    std::vector<Generation> generations;
    for (const ModelId& model : models) {
        generations.push_back(yard->view(model).generation);
        yard->post(Unload{model, how == Unloading::forced});
    }
    for (std::size_t i = 0; i < models.size(); ++i) {
        const ModelId& model = models[i];
        const Generation generation = generations[i];
        const bool ended = co_await wait_until_ended(yard, model, generation);
        if (!ended) {
            co_return;
        }
    }
}

asio::awaitable<void> close_yard(std::shared_ptr<Yard> yard, Duration grace) {
    const Duration bounded = std::clamp(grace, Duration::zero(), grace_max);
    yard->post(Close{Clock::now() + bounded});
    while (!yard->idle()) {
        const Woken woken = co_await yard->changed().wait(TimePoint::max());
        if (woken == Woken::cancelled) {
            co_return;
        }
    }
    // No model is left; a stop command may still be at work, within its own bound.
    const TimePoint first = Clock::now() + join_time;
    const bool joined = co_await yard->tasks().join(first);
    if (!joined) {
        yard->tasks().cancel_all();
        const TimePoint last = Clock::now() + join_time;
        const bool gone = co_await yard->tasks().join(last);
        if (!gone) {
            spdlog::warn("{} tasks of the yard did not end in time", yard->tasks().size());
        }
    }
}

asio::awaitable<PostMortem> wait_for_ending(std::shared_ptr<Yard> yard, Generation generation,
                                            Duration patience) {
    const TimePoint deadline = Clock::now() + std::clamp(patience, Duration::zero(), grace_max);
    while (yard->ending(generation) == nullptr && yard->runs(generation)) {
        const Woken woken = co_await yard->changed().wait(deadline);
        if (woken != Woken::notified) {
            break;
        }
    }
    PostMortem story;
    if (const PostMortem* ending = yard->ending(generation)) {
        story = *ending;
    }
    co_return story;
}

}  // namespace

/// The yard under the name that the header promises.
class Fleet::Impl final : public Yard {
public:
    using Yard::Yard;
};

Lease::Lease(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Lease::Lease(Lease&&) noexcept = default;
Lease& Lease::operator=(Lease&&) noexcept = default;
Lease::~Lease() = default;
const Endpoint& Lease::endpoint() const noexcept {
    return *impl_->endpoint;
}
const ModelConfig& Lease::model() const noexcept {
    return *impl_->model;
}
std::uint64_t Lease::generation() const noexcept {
    return impl_->generation;
}
asio::awaitable<void> Lease::until_told_to_go() const {
    return wait_until_told_to_go(impl_->yard.lock(), impl_->model->id, impl_->generation);
}

Fleet::Fleet(asio::any_io_executor executor, Launcher& launcher, Prober& prober,
             std::shared_ptr<const Config> config)
    : impl_(std::make_shared<Impl>(std::move(executor), launcher, prober, std::move(config))) {}

Fleet::~Fleet() {
    impl_->abandon();
}

asio::awaitable<Result<Lease>> Fleet::acquire(ModelId model, TimePoint deadline, OnWait on_wait,
                                              Touches touches) {
    return wait_for_lease(impl_, std::move(model), deadline, std::move(on_wait), touches);
}

Standing Fleet::standing(const ModelId& model, std::uint64_t waiter) const {
    return {impl_->view(model).state, impl_->ahead_of(waiter)};
}

std::optional<Result<Lease>> Fleet::try_acquire(const ModelId& model, Touches touches) {
    const Scheduler::View seen = impl_->view(model);
    if (seen.state != ProcessState::ready || seen.waiting != 0) {
        return std::nullopt;  // asking would start or queue something
    }
    Yard::Waiter waiter(impl_, model, touches);  // leaves the queue again when it was not answered
    return std::move(waiter.answer);
}

Result<Lease> Fleet::attach(const ModelId& model) {
    if (std::optional<Lease> lease = impl_->attach(model)) {
        return std::move(*lease);
    }
    if (impl_->closing()) {
        return Error(Errc::shutting_down, Blame::internal,
                     "Corral is shutting down. What to do: try again when it is back.");
    }
    if (!impl_->knows(model)) {
        return no_such_model(model);
    }
    return Error(Errc::conflict, Blame::client,
                 "model " + log::clean(model.str(), 256) +
                     " is not loaded, and a WebSocket does not load it (compat.ignoreWebsockets). "
                     "What to do: send the model another request first.");
}

asio::awaitable<Result<void>> Fleet::unload(ModelId model, Unloading how) {
    return unload_one(impl_, std::move(model), how);
}

asio::awaitable<void> Fleet::unload_all(Unloading how) {
    return unload_every(impl_, how);
}

Result<void> Fleet::reset(const ModelId& model) {
    if (!impl_->knows(model)) {
        return no_such_model(model);
    }
    impl_->post(Reset{model});
    return {};
}

asio::awaitable<void> Fleet::close(Duration grace) {
    return close_yard(impl_, grace);
}

asio::awaitable<PostMortem> Fleet::post_mortem(std::uint64_t generation, Duration patience) {
    return wait_for_ending(impl_, generation, patience);
}

ProcessState Fleet::state_of(const ModelId& model) const {
    return impl_->view(model).state;
}
std::vector<ModelStatus> Fleet::models() const {
    return impl_->models();
}
std::shared_ptr<const Config> Fleet::config() const noexcept {
    return impl_->config();
}
void Fleet::on_news(OnNews listener) {
    impl_->listen(std::move(listener));
}

void Fleet::apply(std::shared_ptr<const Config> config) {
    impl_->apply(std::move(config));
}

}  // namespace corral
