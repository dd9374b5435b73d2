#pragma once
// The one clock of the program. Decisions get `now` as an argument; only shells read the clock.

#include <chrono>

namespace corral {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = std::chrono::milliseconds;

}  // namespace corral
