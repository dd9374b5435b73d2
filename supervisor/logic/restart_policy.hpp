#pragma once
// How often a model that fails is tried again. Two failures cost nothing: the next request tries at
// once. After the third in a row it rests for a second, after each further one for twice as long,
// at most five minutes. Pure; one per model; any thread, one at a time.

#include "core/time.hpp"

#include <cstdint>

namespace corral {

class RestartPolicy {
public:
    static constexpr Duration first_rest{1'000};
    static constexpr Duration longest_rest{300'000};
    /// One that was ready for so long is a model that works: its failure is the first in a row.
    static constexpr Duration settled{60'000};
    /// And so is a failure that comes so long after the last one.
    static constexpr Duration forgotten{2 * longest_rest};

    /// A start or a run has ended badly. `was_ready_for`: zero for a start.
    void failed(TimePoint now, Duration was_ready_for);
    /// It works, it is another model now, or somebody says so.
    void reset() noexcept { failures_ = 0; }

    /// True while it must not be started.
    [[nodiscard]] bool resting(TimePoint now) const noexcept {
        return failures_ > 1 && now < retry_at_;
    }
    /// When it may be started again. Means something while it rests.
    [[nodiscard]] TimePoint retry_at() const noexcept { return retry_at_; }
    /// How many in a row.
    [[nodiscard]] std::uint32_t failures() const noexcept { return failures_; }

private:
    std::uint32_t failures_ = 0;
    TimePoint last_{};
    TimePoint retry_at_{};
};

}  // namespace corral
