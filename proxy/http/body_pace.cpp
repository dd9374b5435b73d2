#include "proxy/http/body_pace.hpp"

#include <algorithm>

namespace corral::http {

TimePoint BodyPace::deadline(TimePoint now, std::uint64_t bytes,
                             const Limits& limits) const noexcept {
    Clock::duration patience = limits.body_idle_timeout;
    if (limits.body_rate_min > 0) {
        // What came is enough for so long. Whole seconds do, and never overflow.
        const auto enough_for = std::chrono::seconds(
            std::min<std::uint64_t>(bytes / limits.body_rate_min, 1'000'000'000));
        const Clock::duration all = std::max<Clock::duration>(limits.body_rate_after, enough_for);
        patience = std::clamp<Clock::duration>(all - waited_, Clock::duration::zero(), patience);
    }
    return now + patience;
}

}  // namespace corral::http
