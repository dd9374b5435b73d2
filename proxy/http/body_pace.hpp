#pragma once
// How long a client may still be waited for in the middle of its body: each piece has its time, and
// the whole a least rate, so that trickling single bytes holds nothing for long. Only the time that
// was spent waiting counts, not that of an upstream that does not take what came. Pure; one thread.

#include "core/config.hpp"
#include "core/time.hpp"

#include <cstdint>

namespace corral::http {

class BodyPace {
public:
    /// Until when to wait for the next piece, with so many bytes of the body there.
    [[nodiscard]] TimePoint deadline(TimePoint now, std::uint64_t bytes,
                                     const Limits& limits) const noexcept;
    /// So long was waited.
    void waited(Clock::duration time) noexcept { waited_ += time; }

private:
    Clock::duration waited_{};
};

}  // namespace corral::http
