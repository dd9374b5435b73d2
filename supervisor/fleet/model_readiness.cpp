// Whether a model's server is ready: asked until it is, or until its start is over.
#include "core/log.hpp"
#include "supervisor/fleet/model_process.hpp"
#include "supervisor/fleet/model_run.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>
#include <variant>

namespace corral {

namespace asio = boost::asio;

namespace {

// Ready is noticed within a twentieth of the time that the load took, and a long load costs ten
// probes a second while it is silent.
constexpr Duration first_pause{5};
constexpr Duration longest_pause{100};
constexpr int pauses_in_a_load = 20;
/// What says that it is ready says so a moment before or after it is.
constexpr Duration after_output{1};

/// A prober that breaks its promise not to throw counts as "not ready".
asio::awaitable<bool> ask(Prober& prober, Endpoint endpoint, std::string path, Duration timeout) {
    try {
        const bool ready = co_await prober.ready(std::move(endpoint), std::move(path), timeout);
        co_return ready;
    } catch (const std::exception&) {
    }
    co_return false;
}
}  // namespace

/// Until it is time to ask again. Who says something has often just done something, so output
/// brings the next probe forward: a server that tells of its readiness is believed at once.
asio::awaitable<bool> ModelProcess::pause_between_probes(RunPtr run, TimePoint asked) {
    using namespace asio::experimental::awaitable_operators;
    const TimePoint now = Clock::now();
    const auto loading = std::chrono::duration_cast<Duration>(now - run->launched);
    const auto silent = std::chrono::duration_cast<Duration>(now - run->heard_at);
    const Duration pause =
        std::clamp(std::min(loading / pauses_in_a_load, silent / 2), first_pause, longest_pause);
    const TimePoint next = now + pause;
    if (run->heard_at < asked) {
        const auto first = co_await (run->heard.wait(next) || run->over.wait(next));
        const bool heard = first.index() == 0 && std::get<0>(first) == Woken::notified;
        if (!heard || !run->probing) {
            co_return run->probing;
        }
    }
    const Duration apart = std::clamp(loading / pauses_in_a_load, after_output, first_pause);
    const TimePoint soon = std::max(run->heard_at + after_output, asked + apart);
    const TimePoint then = std::min(soon, next);
    const Woken woken = co_await run->over.wait(then);
    co_return run->probing&& woken == Woken::deadline;
}

/// Asks until the server is ready, the start is over, or its deadline has passed. The deadline
/// itself is the machine's timer: it fires even when a probe never returns.
asio::awaitable<void> ModelProcess::probe(Self self, RunPtr run) {
    using namespace asio::experimental::awaitable_operators;
    while (run->probing) {
        const TimePoint asked = Clock::now();
        const Duration left = std::chrono::duration_cast<Duration>(run->deadline - Clock::now());
        const Duration timeout = std::clamp<Duration>(self->config_->limits.probe_timeout,
                                                      Duration(1), std::max(left, Duration(1)));
        const Endpoint endpoint = *run->endpoint;
        const std::string path = run->check_path;
        const TimePoint never = TimePoint::max();
        const auto first =
            co_await (ask(self->prober_, endpoint, path, timeout) || run->over.wait(never));
        if (!run->probing) {
            co_return;
        }
        if (first.index() == 0 && std::get<0>(first) && self->answers_itself(*run)) {
            self->feed(Healthy{});
            co_return;
        }
        const bool goes_on = co_await pause_between_probes(run, asked);
        if (!goes_on) {
            co_return;
        }
    }
}
/// A start that neither prints nor reads has failed, however much time it would still have. What
/// cannot be told counts as work.
asio::awaitable<void> ModelProcess::watch_for_stall(Self self, RunPtr run) {
    const Duration limit = self->model_->start_stall_timeout;
    const Duration pause = std::clamp(limit / 10, Duration(20), Duration(1'000));
    std::optional<std::uint64_t> last = run->child->activity();
    TimePoint worked = Clock::now();
    while (run->probing && last) {
        const TimePoint next = Clock::now() + pause;
        const Woken woken = co_await run->over.wait(next);
        if (woken != Woken::deadline || !run->probing) {
            co_return;
        }
        const std::optional<std::uint64_t> seen = run->child->activity();
        if (seen != last) {
            last = seen;
            worked = Clock::now();
        } else if (Clock::now() - worked >= limit) {
            self->feed(Stalled{});
            co_return;
        }
    }
}

}  // namespace corral
