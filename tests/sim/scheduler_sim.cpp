// Thousands of seeded worlds around the scheduler and the process table. A failure prints its seed
// and the last things that happened; the same seed gives the same story again.
#include "scheduler_world.hpp"
#include "tests/support/rounds.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <string>

using namespace corral::sim;

namespace {

Report run_seeds(std::uint32_t from, int count, const Options& options) {
    Report all;
    for (std::uint32_t seed = from; seed < from + static_cast<std::uint32_t>(count); ++seed) {
        World world(seed, options);
        try {
            const Report one = world.run();
            all.granted += one.granted;
            all.refused += one.refused;
            all.cancelled += one.cancelled;
            all.starts += one.starts;
            all.together += one.together;
            all.worst_wait = std::max(all.worst_wait, one.worst_wait);
        } catch (const std::exception& violation) {
            FAIL("seed ", seed, ": ", std::string(violation.what()), world.trace());
        }
    }
    MESSAGE(all.granted, " granted, ", all.refused, " refused, ", all.cancelled, " cancelled, ",
            all.starts, " starts, ", all.together, " beside others, worst wait ", all.worst_wait,
            " of its bound");
    return all;
}

}  // namespace

TEST_CASE("every request is answered exactly once, nothing leased is stopped, groups hold") {
    const Report report = run_seeds(1, corral::test::rounds(3'000), {});
    CHECK(report.granted > report.starts);
    CHECK(report.refused > 0);
    CHECK(report.cancelled > 0);
}

TEST_CASE("the same while the yard closes in the middle: closed means empty") {
    Options options;
    options.close_early = true;
    const Report report = run_seeds(100'001, corral::test::rounds(1'000), options);
    CHECK(report.granted > 0);
}

TEST_CASE("a steady stream on every model starves none of them") {
    Options options;
    options.arrivals = 400;
    options.steady = true;
    options.faults = false;
    options.interference = false;
    const Report report = run_seeds(200'001, corral::test::rounds(150), options);
    CHECK(report.granted > 0);
}

TEST_CASE("…and neither do faults on top of it") {
    Options options;
    options.arrivals = 300;
    options.steady = true;
    const Report report = run_seeds(300'001, corral::test::rounds(150), options);
    CHECK(report.granted > 0);
}
