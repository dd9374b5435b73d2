#include "app/config_watch.hpp"

#include "core/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <utility>

namespace corral {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

constexpr Duration quiet{200};
constexpr Duration longest_delay{2'000};
constexpr Duration look_every{2'000};

}  // namespace

ConfigWatch::ConfigWatch(asio::any_io_executor executor, Inputs inputs)
    : inputs_(std::move(inputs)),
      debounce_(quiet, longest_delay),
      events_(executor),
      timer_(executor) {
    auto opened = FileWatcher::open();
    if (!opened) {
        give_up(opened.error());
        return;
    }
    watcher_.emplace(std::move(*opened));
    events_.assign(::fcntl(watcher_->descriptor(), F_DUPFD_CLOEXEC, 0));
    watch();
}

/// True when the inputs are others than the last time.
bool ConfigWatch::watch() {
    std::vector<std::filesystem::path> inputs = inputs_();
    const bool others = inputs != watched_;
    watched_ = std::move(inputs);
    if (watcher_) {
        if (const auto done = watcher_->watch(watched_); !done) {
            give_up(done.error());
        }
    }
    return others;
}

void ConfigWatch::give_up(const Error& error) {
    spdlog::warn("{}; the config files are looked at every {} s instead", log::clean(error.detail),
                 look_every / std::chrono::seconds(1));
    events_.close();
    watcher_.reset();
    static_cast<void>(stamps_.changed(inputs_()));
}

asio::awaitable<void> ConfigWatch::run(OnChange on_change) {
    bool settled = true;
    while (settled) {
        if (watcher_) {
            settled = co_await wait_for_events();
        } else {
            settled = co_await wait_for_stamps();
        }
        if (settled) {
            debounce_.clear();
            watch();  // before the files are read: what changes from here on is an event
            on_change();
            if (watch()) {  // the config is made of other files now: read once more
                debounce_.note(Clock::now());
            }
        }
    }
}

/// Until something changed and has been quiet. False when the wait was cancelled.
asio::awaitable<bool> ConfigWatch::wait_for_events() {
    while (Clock::now() < debounce_.due().value_or(TimePoint::max())) {
        timer_.expires_at(debounce_.due().value_or(TimePoint::max()));
        const auto first =
            co_await (events_.async_wait(asio::posix::stream_descriptor::wait_read, as_values) ||
                      timer_.async_wait(as_values));
        const auto ec =
            first.index() == 0 ? std::get<0>(std::get<0>(first)) : std::get<0>(std::get<1>(first));
        if (ec) {
            co_return false;
        }
        if (watcher_->on_readable()) {
            debounce_.note(Clock::now());
        }
    }
    co_return true;
}

/// Until the stamps differ. False when the wait was cancelled.
asio::awaitable<bool> ConfigWatch::wait_for_stamps() {
    bool changed = false;
    while (!changed) {
        timer_.expires_after(look_every);
        const auto [ec] = co_await timer_.async_wait(as_values);
        if (ec) {
            co_return false;
        }
        changed = stamps_.changed(watched_);
    }
    co_return true;
}

}  // namespace corral
