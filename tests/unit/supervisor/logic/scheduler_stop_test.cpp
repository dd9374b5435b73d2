// The scheduler: TTL, unload, a new config, and the end.
#include "scheduler_fixture.hpp"

#include <doctest/doctest.h>

using namespace corral;
using namespace corral::test;

namespace {

std::shared_ptr<Config> with_ttl(int seconds) {
    return config_of({model("a", 0, seconds), model("b")},
                     {group("all", false, false, false, {"a", "b"})});
}

}  // namespace

TEST_CASE("the TTL counts from the end of the last response") {
    Yard y(with_ttl(60));
    y.request("a");
    y.ready("a");
    CHECK_FALSE(y.wake_at.has_value());  // in flight
    y.pass(Duration(500'000));
    CHECK(y.tick().empty());
    CHECK(y.release("a").empty());
    CHECK(y.wake_at == y.now + Duration(60'000));
    y.pass(Duration(59'999));
    CHECK(y.tick().empty());
    CHECK(y.request("a") == "grant 2:a");
    CHECK_FALSE(y.wake_at.has_value());
    CHECK(y.release("a").empty());
    y.pass(Duration(60'000));
    CHECK(y.tick() == "stop a:ttl");
    CHECK(y.stopped("a").empty());
    CHECK(y.scheduler.idle());
}

TEST_CASE("the TTL counts from readiness when nobody came, not from the start") {
    Yard y(with_ttl(60));
    y.request("a");
    y.cancel(1);
    y.pass(Duration(300'000));
    CHECK(y.ready("a").empty());
    CHECK(y.wake_at == y.now + Duration(60'000));
    y.pass(Duration(60'000));
    CHECK(y.tick() == "stop a:ttl");
}

TEST_CASE("a TTL of 0 is never") {
    Yard y(with_ttl(0));
    y.load("a");
    CHECK_FALSE(y.wake_at.has_value());
    y.pass(Duration(std::chrono::hours(1'000)));
    CHECK(y.tick().empty());
}

TEST_CASE("a request that arrives while the TTL stops its model gets a new run of it") {
    Yard y(with_ttl(60));
    y.load("a");
    y.pass(Duration(60'000));
    y.tick();
    CHECK(y.request("a").empty());
    CHECK(y.stopped("a") == "start a");
}

TEST_CASE("unload drains: nothing leased is stopped, new requests wait for the next run") {
    Yard y(with_ttl(0));
    y.request("a");
    y.ready("a");
    CHECK(y.unload("a").empty());
    CHECK(y.request("a").empty());
    CHECK(y.request("b") == "start b");  // nobody else is delayed
    CHECK(y.release("a") == "stop a:unload");
    CHECK(y.stopped("a") == "start a");
    CHECK(y.ready("a") == "grant 2:a");
}

TEST_CASE("unload refuses those who wait, and stops a model that is starting at once") {
    Yard y(with_ttl(0));
    y.request("a");
    y.request("a");
    CHECK(y.unload("a") == "refuse 1:model_unloaded; refuse 2:model_unloaded; stop a:unload");
    CHECK(y.unload("a").empty());
    CHECK(y.stopped("a").empty());
    CHECK(y.scheduler.idle());
}

TEST_CASE("unload of an idle model stops it, of a resting or unknown one does nothing") {
    Yard y(with_ttl(0));
    y.load("a");
    CHECK(y.unload("a") == "stop a:unload");
    CHECK(y.unload("b").empty());
    CHECK(y.unload("zzz").empty());
}

TEST_CASE("unload of a model that waits for its place refuses its requests and frees the others") {
    Yard y(config_of({model("a"), model("b")}));
    y.request("a");
    y.ready("a");
    y.request("b");
    y.pass(max_wait);
    y.request("a");  // 3, held back by 2
    CHECK(y.unload("b") == "refuse 2:model_unloaded; grant 3:a");
}

TEST_CASE("a new config with other words but the same process keeps the model running") {
    Yard y(with_ttl(60));
    y.request("a");
    y.ready("a");
    auto next = with_ttl(10);
    next->models[0].description = "better";
    next->models[0].aliases = {"alpha"};
    next->models[0].port = 5900;
    CHECK(y.step(Reconfigure{next}).empty());
    CHECK(y.release("a").empty());
    CHECK(y.wake_at == y.now + Duration(10'000));
}

TEST_CASE("a changed definition drains the old run; who waits gets the new one") {
    Yard y(with_ttl(0));
    y.request("a");
    y.ready("a");
    auto next = with_ttl(0);
    next->models[0].argv = {"server", "other"};
    CHECK(y.step(Reconfigure{next}).empty());
    CHECK(y.request("a").empty());
    CHECK(y.release("a") == "stop a:config");
    CHECK(y.stopped("a") == "start a");
    CHECK(y.ready("a") == "grant 2:a");
}

TEST_CASE("a run that drains takes no one in, not even those whose turn it was") {
    Yard y(config_of({model("a", 1)}));
    y.request("a");
    y.request("a");
    y.ready("a");
    auto next = config_of({model("a", 2)});
    next->models[0].argv = {"server", "other"};
    CHECK(y.step(Reconfigure{next}).empty());
    CHECK(y.release("a") == "stop a:config");
    CHECK(y.stopped("a") == "start a");
    CHECK(y.ready("a") == "grant 2:a");
}

TEST_CASE("a changed model that is starting is stopped at once and started anew for its waiters") {
    Yard y(with_ttl(0));
    y.request("a");
    auto next = with_ttl(0);
    next->models[0].argv = {"server", "other"};
    CHECK(y.step(Reconfigure{next}) == "stop a:config");
    CHECK(y.stopped("a") == "start a");
}

TEST_CASE("a removed model is drained and forgotten; its waiters hear that it does not exist") {
    Yard y(config_of({model("a", 1), model("b")}));
    y.request("a");
    y.request("a");
    y.ready("a");
    auto next = config_of({model("b"), model("c")});
    CHECK(y.step(Reconfigure{next}) == "refuse 2:model_not_found");
    CHECK(y.request("a") == "refuse 3:model_not_found");
    CHECK(y.request("b").empty());  // a's old group still counts
    CHECK(y.release("a") == "stop a:config");
    CHECK(y.stopped("a") == "start b");
    CHECK(y.state("a") == ProcessState::stopped);
    y.step(Reconfigure{config_of({model("a"), model("b"), model("c")})});
    CHECK(y.request("a").empty());  // back, as a new model, behind b
}

TEST_CASE("a change that is taken back before the old run has ended costs nothing") {
    // Guards: what counts is what the process was started as, not the config in between.
    Yard y(with_ttl(0));
    y.request("a");
    y.ready("a");
    auto other = with_ttl(0);
    other->models[0].argv = {"server", "other"};
    CHECK(y.step(Reconfigure{other}).empty());
    CHECK(y.request("a").empty());
    CHECK(y.step(Reconfigure{with_ttl(5)}) == "grant 2:a");
    CHECK(y.release("a").empty());
    CHECK(y.release("a").empty());
    CHECK(y.wake_at == y.now + Duration(5'000));
    CHECK(y.step(Reconfigure{other}) == "stop a:config");
    CHECK(y.step(Reconfigure{with_ttl(0)}).empty());  // too late: it ends
    CHECK(y.request("a").empty());
    CHECK(y.stopped("a") == "start a");
}

TEST_CASE("a model that left and came back while it was leased goes on; an unload stays") {
    // Guards: only the drain that a config began is taken back by a config.
    Yard y(config_of({model("a"), model("b")}));
    y.request("a");
    y.ready("a");
    CHECK(y.step(Reconfigure{config_of({model("b")})}).empty());
    CHECK(y.request("a") == "refuse 2:model_not_found");
    CHECK(y.step(Reconfigure{config_of({model("a"), model("b")})}).empty());
    CHECK(y.request("a") == "grant 3:a");
    CHECK(y.unload("a").empty());
    CHECK(y.step(Reconfigure{config_of({model("b")})}).empty());
    CHECK(y.step(Reconfigure{config_of({model("a"), model("b")})}).empty());
    CHECK(y.release("a").empty());
    CHECK(y.release("a") == "stop a:unload");
}

TEST_CASE("models that new groups forbid together run on while leased; the next decision sorts") {
    // Guards: a change of the groups kills nobody's request, and holds from the next one on.
    const auto groups = [](bool swap) {
        return config_of({model("a"), model("b")}, {group("g", swap, true, false, {"a", "b"})});
    };
    Yard y(groups(false));
    y.request("a");
    y.ready("a");
    y.request("b");
    y.ready("b");
    CHECK(y.step(Reconfigure{groups(true)}).empty());
    CHECK(y.request("a").empty());           // b is leased: nobody is stopped, nobody comes in
    CHECK(y.release("b") == "stop b:swap");  // a's request is the older one
    CHECK(y.stopped("b") == "grant 3:a");
    CHECK(y.request("b").empty());
    CHECK(y.release("a").empty());
    CHECK(y.release("a") == "stop a:swap");
    CHECK(y.stopped("a") == "start b");
    CHECK(y.step(Reconfigure{groups(false)}).empty());
    CHECK(y.request("a") == "start a");  // together again, at once
}

TEST_CASE("close refuses who waits, drains the leased, stops the rest, and ends empty") {
    Yard y(config_of({model("a", 1), model("b"), model("c")},
                     {group("all", false, false, false, {"a", "b", "c"})}));
    y.request("a");
    y.ready("a");
    y.load("b");
    y.request("c");
    CHECK(y.step(Close{y.now + Duration(30'000)}) ==
          "refuse 3:shutting_down; stop b:shutdown; stop c:shutdown");
    CHECK(y.wake_at == y.now + Duration(30'000));
    CHECK(y.request("a") == "refuse 4:shutting_down");
    CHECK(y.changed("c", ProcessState::closed).empty());
    CHECK(y.changed("b", ProcessState::closed).empty());
    CHECK_FALSE(y.scheduler.idle());
    CHECK(y.release("a") == "stop a:shutdown");
    CHECK(y.changed("a", ProcessState::closed).empty());
    CHECK(y.scheduler.idle());
    CHECK_FALSE(y.wake_at.has_value());
}

TEST_CASE("past its deadline close stops leased models too, and a second close may be sooner") {
    Yard y(with_ttl(0));
    y.request("a");
    y.ready("a");
    y.step(Close{y.now + Duration(30'000)});
    CHECK(y.tick().empty());
    CHECK(y.step(Close{y.now + Duration(100'000)}).empty());
    CHECK(y.wake_at == y.now + Duration(30'000));
    CHECK(y.step(Close{y.now}) == "stop a:shutdown");
    CHECK(y.changed("a", ProcessState::closed).empty());
    CHECK(y.release("a").empty());
    CHECK(y.scheduler.idle());
}

TEST_CASE("a start that becomes ready after close is stopped") {
    Yard y(with_ttl(0));
    y.request("a");
    CHECK(y.step(Close{y.now}) == "refuse 1:shutting_down; stop a:shutdown");
    CHECK(y.ready("a").empty());
    CHECK(y.state("a") == ProcessState::stopping);
}

TEST_CASE("a model serves from readiness until it is told to go, leased or not") {
    // Guards: what has no end of its own, a tunnel, learns at once that it is in the way.
    Yard y(with_ttl(60));
    const auto serves = [&y] { return y.scheduler.view(ModelId("a")).serving; };
    y.request("a");
    CHECK_FALSE(serves());
    y.ready("a");
    CHECK(serves());
    SUBCASE("an unload that waits for a lease") {
        y.unload("a");
        CHECK(y.scheduler.view(ModelId("a")).in_flight == 1);
    }
    SUBCASE("a new config that waits for a lease") {
        y.step(Reconfigure{config_of({model("b")})});
    }
    SUBCASE("the end, which waits for a lease") {
        y.step(Close{y.now + Duration(1'000)});
        CHECK(y.scheduler.closing());
    }
    SUBCASE("the TTL") {
        y.release("a");
        CHECK(serves());
        y.pass(Duration(60'000));
        CHECK(y.tick() == "stop a:ttl");
    }
    SUBCASE("a crash") {
        y.failed("a");
    }
    CHECK_FALSE(serves());
}
