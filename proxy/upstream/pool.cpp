#include "proxy/upstream/pool.hpp"

#include <algorithm>
#include <poll.h>
#include <utility>

namespace corral {
namespace {

/// Readable while idle means closed, or bytes that no request asked for: unusable either way.
bool is_quiet(http::Wire& wire) {
    pollfd entry{wire.socket().native_handle(), POLLIN | POLLRDHUP, 0};
    return wire.is_open() && wire.in().empty() && ::poll(&entry, 1, 0) == 0;
}

/// Nothing is under way in it, so a reset loses nothing, and it leaves no port in TIME_WAIT.
void drop(http::Wire& wire) {
    wire.close(true);
}

TimePoint end_of(Duration idle_for) {
    return idle_for == Duration::max() ? TimePoint::max() : Clock::now() + idle_for;
}

}  // namespace

std::optional<http::Wire> UpstreamPool::take(const PoolKey& key) {
    drop_old(Clock::now());
    // The newest is the least likely to be dropped by the other side just now.
    for (auto at = idle_.end(); at != idle_.begin();) {
        if (!((--at)->key == key)) {
            continue;
        }
        std::optional<http::Wire> out(std::move(at->wire));
        if (at->watched) {
            out->socket().cancel();
        }
        at = idle_.erase(at);
        if (is_quiet(*out)) {
            return out;
        }
        drop(*out);
    }
    return std::nullopt;
}

void UpstreamPool::give(const PoolKey& key, http::Wire wire, PoolRule rule) {
    if (!is_quiet(wire)) {
        drop(wire);
        return;
    }
    wire.in().release();
    const auto same = [&](const Idle& idle) { return idle.key == key; };
    if (std::count_if(idle_.begin(), idle_.end(), same) >=
        static_cast<std::ptrdiff_t>(rule.idle_max)) {
        const auto oldest = std::find_if(idle_.begin(), idle_.end(), same);
        drop(oldest->wire);
        idle_.erase(oldest);
    }
    const TimePoint until = end_of(rule.idle_for);
    idle_.push_back(Idle{key, until, ++numbers_, rule.watched, std::move(wire)});
    if (rule.watched) {
        watch(numbers_);
    }
    arm(until);
}

void UpstreamPool::clear() {
    for (auto& idle : idle_) {
        drop(idle.wire);
    }
    idle_.clear();
    timer_.cancel();
    armed_for_ = TimePoint::max();
}

void UpstreamPool::drop_old(TimePoint now) {
    if (now < armed_for_) {
        return;
    }
    std::erase_if(idle_, [now](Idle& idle) {
        const bool old = idle.until <= now;
        if (old) {
            drop(idle.wire);
        }
        return old;
    });
}

void UpstreamPool::arm(TimePoint until) {
    if (until >= armed_for_) {
        return;  // it is seen when the timer fires
    }
    armed_for_ = until;
    timer_.expires_at(until);
    // The pool outlives its timer's handlers: clear() and the loop's end come before its own.
    timer_.async_wait([this](boost::system::error_code ec) {
        if (ec) {
            return;
        }
        drop_old(Clock::now());
        armed_for_ = TimePoint::max();
        const auto first =
            std::min_element(idle_.begin(), idle_.end(),
                             [](const Idle& a, const Idle& b) { return a.until < b.until; });
        if (first != idle_.end()) {
            arm(first->until);
        }
    });
}

void UpstreamPool::watch(std::uint64_t number) {
    const auto numbered = [number](const Idle& idle) { return idle.number == number; };
    const auto at = std::find_if(idle_.begin(), idle_.end(), numbered);
    if (at == idle_.end()) {
        return;
    }
    // As with the timer; the number tells whether the connection is still here.
    at->wire.socket().async_wait(
        boost::asio::socket_base::wait_read,
        [this, number, numbered](boost::system::error_code ec) {
            const auto idle = ec ? idle_.end() : std::find_if(idle_.begin(), idle_.end(), numbered);
            if (idle == idle_.end()) {
                return;
            }
            if (is_quiet(idle->wire)) {
                watch(number);
            } else {
                drop(idle->wire);
                idle_.erase(idle);
            }
        });
}

}  // namespace corral
