// The scheduler's order among models that wait: priority, arrival, and the bound on both.
#include "scheduler_fixture.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;
using namespace corral::test;

namespace {

/// Models that evict each other: "low" has priority -1, "high" 5, "high2" 5, the others 0.
std::shared_ptr<Config> ranked() {
    auto out = config_of({model("a"), model("b"), model("high"), model("high2"), model("low")});
    out->models[2].priority = out->models[3].priority = 5;
    out->models[4].priority = -1;
    return out;
}

}  // namespace

TEST_CASE("a free place goes to the highest priority, then to who came first") {
    // Guards: the order of llama-swap's fifo scheduler.
    Yard y(ranked());
    y.request("a");
    y.ready("a");
    y.request("low");
    y.request("b");
    y.request("high2");
    y.request("high");
    CHECK(y.release("a") == "stop a:swap");
    CHECK(y.stopped("a") == "start high2");
    CHECK(y.ready("high2") == "grant 4:high2");
    CHECK(y.release("high2") == "stop high2:swap");
    CHECK(y.stopped("high2") == "start high");
    y.ready("high");
    y.release("high");
    CHECK(y.stopped("high") == "start b");
    y.ready("b");
    y.release("b");
    CHECK(y.stopped("b") == "start low");
}

TEST_CASE("priorities order models, not the requests of one model") {
    // Guards: within a model arrival decides, and a turn that has begun is not taken away.
    auto config = ranked();
    config->models[4].concurrency_limit = 1;
    Yard y(config);
    y.request("low");
    y.request("low");
    y.request("high");
    CHECK(y.ready("low") == "grant 1:low");
    CHECK(y.release("low") == "grant 2:low");
    CHECK(y.release("low") == "stop low:swap");
}

TEST_CASE("a request that has waited for max_wait goes before every younger one") {
    // Guards: a higher priority overtakes for a bounded time only.
    Yard y(ranked());
    y.request("a");
    y.ready("a");
    y.request("low");
    y.pass(max_wait - Duration(1));
    y.request("high");
    CHECK(y.waiting("low") == 1);
    y.pass(Duration(1));
    CHECK(y.release("a") == "stop a:swap");
    CHECK(y.stopped("a") == "start low");
}

TEST_CASE("among those that are overdue arrival decides") {
    // Guards: no stream of overdue requests of a high priority goes before an older one.
    Yard y(ranked());
    y.request("a");
    y.ready("a");
    y.request("low");
    y.pass(Duration(1));
    y.request("high");
    y.pass(max_wait);
    y.release("a");
    CHECK(y.stopped("a") == "start low");
}

TEST_CASE("two models of high priority that take turns do not starve a low one") {
    // Guards: the bound of the header: max_wait, and one turn of each of the others.
    Yard y(ranked());
    y.request("high");
    y.ready("high");
    y.request("low");  // 2
    std::string current = "high";
    int swaps = 0;
    for (; y.state("low") != ProcessState::starting && swaps < 20; ++swaps) {
        const std::string next = current == "high" ? "high2" : "high";
        y.request(next.c_str());
        y.pass(Duration(5'000));
        y.release(current.c_str());
        const std::string started = y.stopped(current.c_str());
        if (started == "start low") {
            break;
        }
        REQUIRE(started == "start " + next);
        y.ready(next.c_str());
        current = next;
    }
    CHECK(swaps == 5);  // at 30 s it is its turn
}

TEST_CASE("a new config changes priorities for those who wait already") {
    // Guards: the order is decided anew each time, from the config in force.
    Yard y(ranked());
    y.request("a");
    y.ready("a");
    y.request("low");
    y.request("high");
    auto next = ranked();
    next->models[4].priority = 9;
    CHECK(y.step(Reconfigure{next}).empty());
    y.release("a");
    CHECK(y.stopped("a") == "start low");
}
