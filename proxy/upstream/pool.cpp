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

}  // namespace

std::optional<http::Wire> UpstreamPool::take(std::uint64_t generation) {
    drop_old(Clock::now());
    // The newest is the least likely to be dropped by the other side just now.
    for (auto at = idle_.rbegin(); at != idle_.rend(); ++at) {
        if (at->generation != generation) {
            continue;
        }
        std::optional<http::Wire> out(std::move(at->wire));
        idle_.erase(std::next(at).base());
        if (is_quiet(*out)) {
            return out;
        }
        return take(generation);
    }
    return std::nullopt;
}

void UpstreamPool::give(std::uint64_t generation, http::Wire wire) {
    if (!is_quiet(wire)) {
        return;
    }
    wire.in().release();
    const auto same = [&](const Idle& idle) { return idle.generation == generation; };
    if (std::count_if(idle_.begin(), idle_.end(), same) >=
        static_cast<std::ptrdiff_t>(idle_per_model_max)) {
        idle_.erase(std::find_if(idle_.begin(), idle_.end(), same));
    }
    idle_.push_back(Idle{generation, Clock::now(), std::move(wire)});
    arm();
}

void UpstreamPool::clear() {
    idle_.clear();
    timer_.cancel();
}

void UpstreamPool::drop_old(TimePoint now) {
    while (!idle_.empty() && now - idle_.front().since >= idle_max) {
        idle_.pop_front();
    }
}

void UpstreamPool::arm() {
    if (armed_ || idle_.empty()) {
        return;
    }
    armed_ = true;
    timer_.expires_at(idle_.front().since + idle_max);
    // The pool outlives its timer's handlers: clear() and the loop's end come before its own.
    timer_.async_wait([this](boost::system::error_code ec) {
        if (ec) {
            return;
        }
        armed_ = false;
        drop_old(Clock::now());
        arm();
    });
}

}  // namespace corral
