// proxy/http/body_pace: how long a body is waited for.
#include "proxy/http/body_pace.hpp"

#include <doctest/doctest.h>

using corral::Limits;
using corral::TimePoint;
using corral::http::BodyPace;
using std::chrono::seconds;

TEST_CASE("a piece of a body has its time, and the whole a least rate") {
    // Guards: bodyIdleTimeout, and bodyRateMin once bodyRateAfter was spent waiting.
    const Limits limits;  // 10 s; 1 kB a second after 30 s
    const TimePoint now;
    BodyPace pace;
    CHECK(pace.deadline(now, 0, limits) == now + seconds(10));
    pace.waited(seconds(25));
    CHECK(pace.deadline(now, 0, limits) == now + seconds(5));
    CHECK(pace.deadline(now, 28'000, limits) == now + seconds(5));
    CHECK(pace.deadline(now, 33'000, limits) == now + seconds(8));
    CHECK(pace.deadline(now, 1'000'000, limits) == now + seconds(10));
    pace.waited(seconds(10));
    CHECK(pace.deadline(now, 33'000, limits) == now);  // not in the past: no deadline is
    CHECK(pace.deadline(now, UINT64_MAX, limits) == now + seconds(10));
}

TEST_CASE("a rate of 0 is none") {
    // Guards: who wants trickling bodies can have them.
    Limits limits;
    limits.body_rate_min = 0;
    BodyPace pace;
    pace.waited(seconds(1'000'000));
    CHECK(pace.deadline(TimePoint(), 0, limits) == TimePoint(seconds(10)));
}
