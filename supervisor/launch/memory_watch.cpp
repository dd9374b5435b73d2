#include "supervisor/launch/memory_watch.hpp"

#include "supervisor/launch/memory_use.hpp"

#include <utility>

namespace corral {

MemoryWatch::MemoryWatch(const boost::asio::any_io_executor& executor, std::uint64_t limit,
                         Members members, Exceeded exceeded)
    : timer_(executor),
      limit_(limit),
      members_(std::move(members)),
      exceeded_(std::move(exceeded)) {}

void MemoryWatch::start() {
    look();
}

void MemoryWatch::stop() noexcept {
    stopped_ = true;
    timer_.cancel();
}

std::uint64_t MemoryWatch::measure(TimePoint now) {
    if (now - listed_ >= listing_interval) {
        known_ = members_();
        listed_ = now;
    }
    const std::uint64_t resident = resident_of(known_);
    if (resident <= limit_) {
        return resident;
    }
    const std::uint64_t quick = memory_of(known_);
    if (quick <= limit_) {
        return quick;
    }
    known_ = members_();
    listed_ = now;
    return exact_memory_of(known_);
}

void MemoryWatch::look() {
    const TimePoint now = Clock::now();
    const std::uint64_t used = measure(now);
    const auto since = std::chrono::duration_cast<Duration>(now - looked_);
    const Duration pause =
        next_memory_look(limit_, used, used_, looked_ == TimePoint() ? Duration(0) : since);
    looked_ = now;
    used_ = used;
    if (used > limit_) {
        exceeded_(used);
    }
    if (stopped_) {
        return;
    }
    timer_.expires_after(pause);
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        if (const auto self = weak.lock(); self && !error && !self->stopped_) {
            self->look();
        }
    });
}

}  // namespace corral
