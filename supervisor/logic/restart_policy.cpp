#include "supervisor/logic/restart_policy.hpp"

#include <algorithm>

namespace corral {

void RestartPolicy::failed(TimePoint now, Duration was_ready_for) {
    if (was_ready_for >= settled || (failures_ > 0 && now - last_ >= forgotten)) {
        failures_ = 0;
    }
    ++failures_;
    last_ = now;
    constexpr std::uint32_t doublings_max = 20;  // keeps the shift far from overflow
    constexpr std::uint32_t free_of_rest = 2;    // failures that cost nothing
    retry_at_ = now;
    if (failures_ > free_of_rest) {
        const std::uint32_t doublings = std::min(failures_ - free_of_rest - 1, doublings_max);
        retry_at_ += std::min(first_rest * (1U << doublings), longest_rest);
    }
}

}  // namespace corral
