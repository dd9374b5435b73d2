#include "proxy/upstream/pool.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace corral {
namespace {

/// Nothing is under way in it, so a reset loses nothing, and it leaves no port in TIME_WAIT.
void drop(http::Wire& wire) {
    wire.close(true);
}

/// Counts what comes, by key; there are few keys.
class Counts {
public:
    std::size_t next(const PoolKey& key) {
        const auto same = [&](const auto& entry) { return *entry.first == key; };
        auto at = std::find_if(entries_.begin(), entries_.end(), same);
        if (at == entries_.end()) {
            at = entries_.emplace(entries_.end(), &key, 0);
        }
        return ++at->second;
    }

private:
    std::vector<std::pair<const PoolKey*, std::size_t>> entries_;
};

}  // namespace

TimePoint UpstreamPool::Idle::until() const noexcept {
    return rule.idle_for == Duration::max() ? TimePoint::max() : since + rule.idle_for;
}

std::optional<http::Wire> UpstreamPool::take(const PoolKey& key) {
    drop_old(Clock::now());
    // The newest is the least likely to be dropped by the other side just now.
    for (auto at = idle_.end(); at != idle_.begin();) {
        if (!((--at)->key == key)) {
            continue;
        }
        std::optional<http::Wire> out(std::move(at->wire));
        if (at->rule.watched) {
            out->socket().cancel();
        }
        at = idle_.erase(at);
        if (out->is_quiet()) {
            return out;
        }
        drop(*out);
    }
    return std::nullopt;
}

void UpstreamPool::give(const PoolKey& key, http::Wire wire, PoolRule rule) {
    const TimePoint now = Clock::now();
    forget_heard();
    if (!wire.is_open() || !wire.in().empty() || starves(key, now)) {
        drop(wire);
        return;
    }
    wire.in().shrink();
    const std::size_t most = std::max(rule.idle_max, rule.burst_max);
    const auto same = [&](const Idle& idle) { return idle.key == key; };
    if (idle_.size() >= most &&
        std::count_if(idle_.begin(), idle_.end(), same) >= static_cast<std::ptrdiff_t>(most)) {
        const auto oldest = std::find_if(idle_.begin(), idle_.end(), same);
        drop(oldest->wire);
        idle_.erase(oldest);
    }
    idle_.push_back(Idle{key, now, ++numbers_, rule, std::move(wire)});
    if (rule.watched) {
        watch(numbers_);
    }
    arm(rule.burst_max > 0 ? now + brief : idle_.back().until());
}

UpstreamPool::Waiting::Waiting(UpstreamPool& pool, const PoolKey& key, const http::Wire& wire)
    : pool_(&pool),
      at_(pool.waiting_.insert(pool.waiting_.end(),
                               NewConnection{key, Clock::now(), &wire, this})) {}

void UpstreamPool::Waiting::end() noexcept {
    if (auto* pool = std::exchange(pool_, nullptr)) {
        pool->waiting_.erase(at_);
    }
}

void UpstreamPool::forget(const PoolKey& key) {
    std::erase_if(idle_, [&](Idle& idle) {
        const bool same = idle.key == key;
        if (same) {
            drop(idle.wire);
        }
        return same;
    });
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
    forget_heard();
    Counts counts;  // the newest count first
    for (auto at = idle_.end(); at != idle_.begin();) {
        --at;
        const bool in_burst = at->rule.burst_max > 0 && at->since + brief > now;
        const bool one_too_many = counts.next(at->key) > at->rule.idle_max && !in_burst;
        if (one_too_many || at->until() <= now || starves(at->key, now)) {
            drop(at->wire);
            at->number = 0;
        }
    }
    std::erase_if(idle_, [](const Idle& idle) { return idle.number == 0; });
}

/// Who was heard waits no more. Each is looked at so once, however many there are.
void UpstreamPool::forget_heard() {
    std::erase_if(waiting_, [](const NewConnection& each) {
        if (each.wire->heard()) {
            each.whose->pool_ = nullptr;
        }
        return each.whose->pool_ == nullptr;
    });
}

/// A new connection of this key has waited so long that an idle one may be what keeps it waiting.
bool UpstreamPool::starves(const PoolKey& key, TimePoint now) const {
    return std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& each) {
        return each.since + brief <= now && each.key == key;
    });
}

/// When something may have to be dropped next.
TimePoint UpstreamPool::next_look(TimePoint now) const {
    TimePoint out = TimePoint::max();
    for (const Idle& idle : idle_) {
        out = std::min(out, idle.rule.burst_max > 0 ? now + brief : idle.until());
    }
    return out;
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
        const TimePoint now = Clock::now();
        drop_old(now);
        armed_for_ = TimePoint::max();
        arm(next_look(now));
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
            if (idle->wire.is_quiet()) {
                watch(number);
            } else {
                drop(idle->wire);
                idle_.erase(idle);
            }
        });
}

}  // namespace corral
