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
    const std::uint32_t doublings = std::min(failures_ < 2 ? 0 : failures_ - 2, doublings_max);
    retry_at_ = failures_ < 2 ? now : now + std::min(first_rest * (1U << doublings), longest_rest);
}

}  // namespace corral
