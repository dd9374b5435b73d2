// How long a model that fails again and again is left alone.
#include "supervisor/logic/restart_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace corral;

namespace {

/// How long it rests after a failure at `now`.
Duration rest_after(RestartPolicy& policy, TimePoint now, Duration was_ready_for = Duration(0)) {
    policy.failed(now, was_ready_for);
    return policy.resting(now) ? std::chrono::duration_cast<Duration>(policy.retry_at() - now)
                               : Duration(0);
}

}  // namespace

TEST_CASE("two failures cost nothing, the next ones ever more, up to five minutes") {
    // Guards: who tries again after a failure is served; a loop of failures cools down.
    RestartPolicy policy;
    TimePoint now{Duration(1'000)};
    CHECK_FALSE(policy.resting(now));
    CHECK(rest_after(policy, now) == Duration(0));
    CHECK(rest_after(policy, now) == Duration(0));
    Duration expected(1'000);
    for (int i = 0; i < 60; ++i) {
        CAPTURE(i);
        const Duration rest = rest_after(policy, now);
        CHECK(rest == expected);
        CHECK(policy.resting(now + rest - Duration(1)));
        CHECK_FALSE(policy.resting(now + rest));
        now += rest;
        expected = std::min(expected * 2, Duration(300'000));
    }
    CHECK(policy.failures() == 62);
}

TEST_CASE("a reset, a long good run and a long time make the next failure the first") {
    // Guards: what went wrong long ago, or was mended, is not held against a model.
    RestartPolicy policy;
    TimePoint now{Duration(1'000)};
    const auto thrice = [&] {
        policy.failed(now, Duration(0));
        policy.failed(now, Duration(0));
        policy.failed(now, Duration(0));
        REQUIRE(policy.resting(now));
    };
    thrice();
    policy.reset();
    CHECK_FALSE(policy.resting(now));
    CHECK(rest_after(policy, now) == Duration(0));
    policy.reset();
    thrice();
    CHECK(rest_after(policy, now, RestartPolicy::settled) == Duration(0));
    policy.reset();
    thrice();
    CHECK(rest_after(policy, now, RestartPolicy::settled - Duration(1)) > Duration(0));
    CHECK(rest_after(policy, now + RestartPolicy::forgotten) == Duration(0));
}
