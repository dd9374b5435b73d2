#include "supervisor/logic/memory_return.hpp"

#include <algorithm>

namespace corral {

void MemoryReturn::before_start(std::optional<std::uint64_t> used) noexcept {
    before_ = used;
    taken_ = 0;
    last_ = used.value_or(0);
}

void MemoryReturn::at_ready(std::optional<std::uint64_t> used) noexcept {
    if (before_ && used && *used > *before_) {
        taken_ = *used - *before_;
        last_ = *used;
    }
}

void MemoryReturn::at_stop(std::optional<std::uint64_t> used) noexcept {
    if (!used) {
        return;
    }
    // One that never became ready may have taken much already. Others come and go meanwhile, so
    // afterwards only the moment counts, not what was taken.
    if (taken_ == 0 && before_ && *used > *before_) {
        taken_ = *used - *before_;
    }
    last_ = *used;
}

bool MemoryReturn::is_back(std::optional<std::uint64_t> used, Duration since) const noexcept {
    if (!used || taken_ < bytes_min || since >= patience) {
        return true;
    }
    const std::uint64_t wanted = std::min(taken_ / 100 * percent_back, last_);
    return *used <= last_ - wanted;
}

}  // namespace corral
