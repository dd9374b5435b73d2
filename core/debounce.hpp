#pragma once
// Several changes close together count as one: due after a quiet time, but not put off for ever.
// Pure; any thread.

#include "core/time.hpp"

#include <algorithm>
#include <optional>

namespace corral {

class Debounce {
public:
    Debounce(Duration quiet, Duration longest) : quiet_(quiet), longest_(longest) {}

    /// Something changed.
    void note(TimePoint now) {
        const TimePoint first = first_.value_or(now);
        first_ = first;
        due_ = std::min(now + quiet_, first + longest_);
    }
    /// When it is time to act; nullopt: nothing to do.
    [[nodiscard]] std::optional<TimePoint> due() const noexcept { return due_; }
    /// Acted upon: a later change begins anew.
    void clear() noexcept {
        first_.reset();
        due_.reset();
    }

private:
    Duration quiet_;
    Duration longest_;
    std::optional<TimePoint> first_;
    std::optional<TimePoint> due_;
};

}  // namespace corral
