// How long the next model waits for the GPU memory of the last one.
#include "supervisor/logic/memory_return.hpp"

#include <doctest/doctest.h>

using namespace corral;

namespace {

constexpr std::uint64_t gib = 1ULL << 30U;

/// A model that took 8 GiB of a GPU on which 2 GiB were in use.
MemoryReturn eight_gib() {
    MemoryReturn out;
    out.before_start(2 * gib);
    out.at_ready(10 * gib);
    return out;
}

}  // namespace

TEST_CASE("the next model waits until three quarters of the memory are back") {
    // Guards: no start into a GPU that is still full.
    const MemoryReturn memory = eight_gib();
    CHECK(memory.taken() == 8 * gib);
    CHECK(!memory.is_back(10 * gib, Duration(0)));
    CHECK(!memory.is_back(4 * gib + gib / 10, Duration(100)));
    CHECK(memory.is_back(4 * gib, Duration(0)));
    CHECK(memory.is_back(2 * gib, Duration(0)));
}

TEST_CASE("memory that does not come back is waited for so long only") {
    // Guards: another program that fills the GPU meanwhile holds up nobody for ever.
    const MemoryReturn memory = eight_gib();
    CHECK(!memory.is_back(20 * gib, MemoryReturn::patience - Duration(1)));
    CHECK(memory.is_back(20 * gib, MemoryReturn::patience));
}

TEST_CASE("without a GPU, or with a model that takes none of it, nothing is waited for") {
    // Guards: swaps on a CPU lose no time.
    MemoryReturn none;
    none.before_start(std::nullopt);
    none.at_ready(std::nullopt);
    none.at_stop(std::nullopt);
    CHECK(none.is_back(std::nullopt, Duration(0)));
    MemoryReturn small;
    small.before_start(2 * gib);
    small.at_ready(2 * gib + 1'000);
    small.at_stop(2 * gib + 1'000);
    CHECK(small.is_back(2 * gib + 1'000, Duration(0)));
    CHECK(eight_gib().is_back(std::nullopt, Duration(0)));  // the driver has gone away
}

TEST_CASE("what others do while the model runs does not count") {
    // Guards: the wait is measured from the moment of its end, by what it itself had taken.
    MemoryReturn memory = eight_gib();
    memory.at_stop(30 * gib);  // another model has taken 20
    CHECK(!memory.is_back(30 * gib, Duration(0)));
    CHECK(memory.is_back(24 * gib, Duration(0)));
    memory.at_stop(3 * gib);  // less than it had taken is in use: others' readings are muddled
    CHECK(!memory.is_back(3 * gib, Duration(0)));
    CHECK(memory.is_back(0, Duration(0)));
}

TEST_CASE("a model that was never ready is waited for by what it had taken by then") {
    // Guards: a load that is broken off leaves its memory behind, too.
    MemoryReturn memory;
    memory.before_start(2 * gib);
    memory.at_stop(6 * gib);
    CHECK(!memory.is_back(6 * gib, Duration(0)));
    CHECK(memory.is_back(3 * gib, Duration(0)));
    memory.before_start(2 * gib);  // its next start
    CHECK(memory.taken() == 0);
}
