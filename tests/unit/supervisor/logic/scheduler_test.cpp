// The scheduler: grants, loads, swaps, limits, turns.
#include "scheduler_fixture.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace corral;
using namespace corral::test;

namespace {

/// a and b share one swapping exclusive group.
std::shared_ptr<Config> swapping() {
    return config_of({model("a"), model("b"), model("c")});
}

std::shared_ptr<Config> side_by_side() {
    return config_of({model("a"), model("b"), model("c")},
                     {group("all", false, false, false, {"a", "b", "c"})});
}

}  // namespace

TEST_CASE("the first request starts its model, later ones join, all are granted when it is ready") {
    Yard y(swapping());
    CHECK(y.request("a") == "start a");
    CHECK(y.request("a").empty());
    CHECK(y.waiting("a") == 2);
    CHECK(y.ready("a") == "grant 1:a; grant 2:a");
    CHECK(y.request("a") == "grant 3:a");
    CHECK(y.in_flight("a") == 3);
}

TEST_CASE("an unknown model is refused and leaves nothing behind") {
    Yard y(swapping());
    CHECK(y.request("zzz") == "refuse 1:model_not_found");
    CHECK(y.scheduler.idle());
}

TEST_CASE("tickets must grow: the order of arrival is their order") {
    Yard y(swapping());
    y.request("a");
    CHECK_THROWS_AS(y.step(Request{1, ModelId("a")}), std::logic_error);
}

TEST_CASE("a swap waits for the lease, stops the old model, and starts only when it has ended") {
    Yard y(swapping());
    y.request("a");
    y.ready("a");
    CHECK(y.request("b").empty());
    CHECK(y.release("a") == "stop a:swap");
    CHECK(y.changed("a", ProcessState::stopping).empty());
    CHECK(y.stopped("a") == "start b");
    CHECK(y.ready("b") == "grant 2:b");
}

TEST_CASE("requests for the running model overtake one that waits to swap, for max_wait only") {
    Yard y(swapping());
    y.request("a");
    y.ready("a");
    y.request("b");  // ticket 2
    y.pass(max_wait - Duration(1));
    CHECK(y.request("a") == "grant 3:a");
    y.pass(Duration(1));
    CHECK(y.request("a").empty());  // ticket 4 is held back
    CHECK(y.release("a").empty());
    CHECK(y.release("a") == "stop a:swap");
    CHECK(y.stopped("a") == "start b");
    CHECK(y.ready("b") == "grant 2:b");
    CHECK(y.release("b") == "stop b:swap");  // now a's turn: ticket 4 waits
    CHECK(y.stopped("b") == "start a");
    CHECK(y.ready("a") == "grant 4:a");
}

TEST_CASE("who waited when the model became ready has his turn before an overdue swap") {
    Yard y(config_of({model("a", 1), model("b")}));
    y.request("a");             // 1
    y.request("b");             // 2, waits from the beginning
    y.request("a");             // 3
    y.pass(Duration(100'000));  // a slow load: 2 and 3 are long overdue
    CHECK(y.ready("a") == "grant 1:a");
    CHECK(y.release("a") == "grant 3:a");  // waited when a became ready: its turn
    CHECK(y.request("a") == "refuse 4:concurrency_limit");
    CHECK(y.release("a") == "stop a:swap");
}

TEST_CASE("a turn with more waiters than the limit lasts max_wait at most") {
    Yard y(config_of({model("a", 1), model("b")}));
    y.request("a");  // 1
    y.request("b");  // 2
    y.request("a");  // 3
    y.request("a");  // 4
    y.pass(Duration(100'000));
    CHECK(y.ready("a") == "grant 1:a");
    y.pass(max_wait);
    CHECK(y.release("a") == "stop a:swap");  // 3 and 4 came after 2
    CHECK(y.stopped("a") == "start b");
    CHECK(y.ready("b") == "grant 2:b");
    CHECK(y.release("b") == "stop b:swap");
    CHECK(y.stopped("b") == "start a");
    CHECK(y.ready("a") == "grant 3:a");
    CHECK(y.release("a") == "grant 4:a");
}

TEST_CASE("a request beyond the limit of a ready model is refused, waiting for a load is not") {
    Yard y(config_of({model("a", 2)}));
    for (int i = 0; i < 5; ++i) {
        y.request("a");
    }
    CHECK(y.waiting("a") == 5);
    CHECK(y.ready("a") == "grant 1:a; grant 2:a");
    CHECK(y.request("a") == "refuse 6:concurrency_limit");
    CHECK(y.release("a") == "grant 3:a");
    CHECK(y.release("a") == "grant 4:a");
    CHECK(y.release("a") == "grant 5:a");
    CHECK(y.release("a").empty());
    CHECK(y.request("a") == "grant 7:a");
}

TEST_CASE("a limit of 0 means ten") {
    Yard y(config_of({model("a")}));
    y.load("a");
    for (int i = 0; i < 10; ++i) {
        CHECK(y.request("a").starts_with("grant"));
    }
    CHECK(y.request("a").starts_with("refuse"));
}

TEST_CASE("the queue of one model is bounded, others are not concerned") {
    auto config = swapping();
    config->limits.waiting_per_model = 2;
    Yard y(config);
    y.request("a");
    y.request("a");
    CHECK(y.request("a") == "refuse 3:overloaded");
    CHECK(y.request("b").empty());
}

TEST_CASE("a failed start is the answer to all who waited for it; the next request tries again") {
    Yard y(swapping());
    y.request("a");
    y.request("b");
    y.request("a");
    CHECK(y.failed("a") == "refuse 1:start_failed; refuse 3:start_failed; start b");
    CHECK(y.failed("b") == "refuse 2:start_failed");
    CHECK(y.scheduler.idle());
    CHECK(y.request("a") == "start a");
}

TEST_CASE("a start that took too long answers at the deadline, not when the process has ended") {
    Yard y(swapping());
    y.request("a");
    CHECK(y.step(ProcessChanged{ModelId("a"), ProcessState::stopping,
                                Error(Errc::start_timeout, Blame::upstream, "slow")}) ==
          "refuse 1:start_timeout");
    CHECK(y.request("a").empty());  // 2 waits for the end of the failed attempt
    CHECK(y.failed("a", Errc::start_timeout) == "start a");
    CHECK(y.ready("a") == "grant 2:a");
}

TEST_CASE("a crash closes the books of that run: late releases of its leases are ignored") {
    Yard y(config_of({model("a", 1)}));
    y.request("a");
    y.ready("a");
    const Generation first = y.last_generation;
    CHECK(y.failed("a").empty());
    CHECK(y.request("a") == "start a");
    CHECK(y.ready("a") == "grant 2:a");
    CHECK(y.step(Released{ModelId("a"), first}).empty());
    CHECK(y.in_flight("a") == 1);
    CHECK(y.last_generation != first);
}

TEST_CASE("a crash of a ready model restarts it for those who wait, it does not refuse them") {
    Yard y(config_of({model("a", 1)}));
    y.request("a");
    y.request("a");
    y.ready("a");
    CHECK(y.failed("a") == "start a");
    CHECK(y.ready("a") == "grant 2:a");
}

TEST_CASE("who leaves the queue is not answered; the load goes on, a queued swap does not begin") {
    Yard y(swapping());
    y.request("a");
    CHECK(y.cancel(1).empty());
    CHECK(y.cancel(1).empty());
    CHECK(y.ready("a").empty());
    CHECK(y.state("a") == ProcessState::ready);
    y.request("a");  // 2, granted
    y.request("b");  // 3
    y.cancel(3);
    CHECK(y.release("a").empty());
    CHECK(y.state("b") == ProcessState::stopped);
}

TEST_CASE("cancelling what is answered or unknown changes nothing") {
    Yard y(swapping());
    y.request("a");
    y.ready("a");
    CHECK(y.cancel(1).empty());
    CHECK(y.cancel(77).empty());
    CHECK(y.in_flight("a") == 1);
}

TEST_CASE("when the one who holds others back leaves, they go on") {
    Yard y(swapping());
    y.request("a");
    y.ready("a");
    y.request("b");
    y.pass(max_wait);
    y.request("a");
    CHECK(y.cancel(2) == "grant 3:a");
}

TEST_CASE("disjoint models load at the same time") {
    Yard y(side_by_side());
    CHECK(y.request("a") == "start a");
    CHECK(y.request("b") == "start b");
    CHECK(y.ready("b") == "grant 2:b");
    CHECK(y.ready("a") == "grant 1:a");
}

TEST_CASE("two groups that swap inside only swap at once, independently") {
    Yard y(config_of({model("a1"), model("a2"), model("b1"), model("b2")},
                     {group("a", true, false, false, {"a1", "a2"}),
                      group("b", true, false, false, {"b1", "b2"})}));
    y.load("a1");
    y.load("b1");
    CHECK(y.request("a2") == "stop a1:swap");
    CHECK(y.request("b2") == "stop b1:swap");
    CHECK(y.stopped("b1") == "start b2");
    CHECK(y.stopped("a1") == "start a2");
}

TEST_CASE("an exclusive model waits for all it evicts, and stops them together when all are idle") {
    Yard y(config_of({model("big"), model("s1"), model("s2")},
                     {group("big", true, true, false, {"big"}),
                      group("small", false, false, false, {"s1", "s2"})}));
    y.load("s1");
    y.request("s2");
    y.ready("s2");
    CHECK(y.request("big").empty());
    CHECK(y.request("s1").starts_with("grant"));  // not overdue yet: s1 still serves
    CHECK(y.release("s1").empty());
    CHECK(y.release("s2") == "stop s1:swap; stop s2:swap");
    CHECK(y.request("s1").empty());  // its place is being made: nothing it evicts starts
    CHECK(y.stopped("s1").empty());
    CHECK(y.stopped("s2") == "start big; start s1");
    CHECK(y.ready("big") == "grant 3:big");  // its turn, although s1 starts beside it
}

TEST_CASE("no victim is stopped as long as another one still loads") {
    Yard y(config_of({model("big"), model("s1"), model("s2")},
                     {group("big", true, true, false, {"big"}),
                      group("small", false, false, false, {"s1", "s2"})}));
    y.load("s1");
    y.request("s2");
    CHECK(y.request("big").empty());
    CHECK(y.request("s1").starts_with("grant"));
    y.release("s1");
    CHECK(y.ready("s2") == "grant 2:s2");
    CHECK(y.state("s1") == ProcessState::ready);
    CHECK(y.release("s2") == "stop s1:swap; stop s2:swap");
}

TEST_CASE("an overdue exclusive model keeps those it evicts from starting anew") {
    Yard y(config_of({model("big"), model("s1"), model("s2")},
                     {group("big", true, true, false, {"big"}),
                      group("small", false, false, false, {"s1", "s2"})}));
    y.request("s1");
    y.ready("s1");
    y.request("big");
    y.pass(max_wait);
    CHECK(y.request("s2").empty());
    CHECK(y.request("s1").empty());
    CHECK(y.release("s1") == "stop s1:swap");
    CHECK(y.stopped("s1") == "start big; start s2; start s1");
}

TEST_CASE("persistent groups survive an exclusive target") {
    Yard y(config_of(
        {model("big"), model("embed")},
        {group("big", true, true, false, {"big"}), group("embed", true, false, true, {"embed"})}));
    y.load("embed");
    CHECK(y.request("big") == "start big");
    CHECK(y.ready("big") == "grant 2:big");
    CHECK(y.request("embed") == "grant 3:embed");
}

TEST_CASE("of two that wait for one place the older goes first") {
    Yard y(swapping());
    y.request("a");
    y.ready("a");
    y.request("c");
    y.request("b");
    CHECK(y.release("a") == "stop a:swap");
    CHECK(y.stopped("a") == "start c");
    CHECK(y.ready("c") == "grant 2:c");
    CHECK(y.release("c") == "stop c:swap");
    CHECK(y.stopped("c") == "start b");
}

TEST_CASE("a swap does not stop a model that is loading, even when its requesters left") {
    Yard y(swapping());
    y.request("a");
    y.request("b");
    CHECK(y.cancel(1).empty());
    CHECK(y.ready("a") == "stop a:swap");
    CHECK(y.stopped("a") == "start b");
}

TEST_CASE("500 idle models do not ask to be woken, and one request costs one start") {
    std::vector<ModelConfig> models;
    for (int i = 0; i < 500; ++i) {
        models.push_back(model("m" + std::to_string(1000 + i), 0, 300));
    }
    Yard y(config_of(models));
    CHECK(y.tick().empty());
    CHECK_FALSE(y.wake_at.has_value());
    CHECK(y.scheduler.idle());
    CHECK(y.request("m1250") == "start m1250");
}

TEST_CASE("a waiting request knows how many for other models came before it") {
    // Guards: the queue position that a client is told; those for its own model go with it.
    Yard y(swapping());
    y.load("a");
    y.request("a");                       // 2, holds the place
    CHECK(y.scheduler.ahead_of(2) == 0);  // granted: it does not wait
    y.request("b");                       // 3
    y.request("c");                       // 4
    y.request("b");                       // 5
    y.request("c");                       // 6
    CHECK(y.scheduler.ahead_of(3) == 0);
    CHECK(y.scheduler.ahead_of(4) == 1);
    CHECK(y.scheduler.ahead_of(5) == 1);
    CHECK(y.scheduler.ahead_of(6) == 2);
    y.cancel(3);
    CHECK(y.scheduler.ahead_of(6) == 1);
    CHECK(y.scheduler.ahead_of(99) == 0);
}

TEST_CASE("limits.maxWait is what bounds being overtaken, also when it changes") {
    // Guards: the bound is the config's, not a constant.
    auto config = test::config_of({test::model("a"), test::model("b")});
    config->limits.max_wait = Duration(2'000);
    Yard y(config);
    y.request("a");
    y.ready("a");
    CHECK(y.request("b").empty());
    y.pass(Duration(1'999));
    CHECK(y.request("a") == "grant 3:a");
    y.pass(Duration(1));
    CHECK(y.request("a").empty());  // b is overdue
    auto longer = std::make_shared<Config>(*config);
    longer->limits.max_wait = Duration(5'000);
    CHECK(y.step(Reconfigure{longer}) == "grant 4:a");
}
