// Models that fail: cool-down, its reset, and models that are kept alive.
#include "core/failure.hpp"
#include "scheduler_fixture.hpp"

#include <doctest/doctest.h>

using namespace corral;
using corral::test::Yard;

namespace {

/// Fails three times: from then on it rests for a second.
Yard resting() {
    Yard y(test::config_of({test::model("a"), test::model("b")}));
    for (int i = 0; i < 3; ++i) {
        y.request("a");
        y.failed("a");
    }
    return y;
}

ModelConfig kept(const std::string& id) {
    ModelConfig out = test::model(id);
    out.keep_alive = true;
    return out;
}

}  // namespace

TEST_CASE("after one failure the next request tries again at once") {
    // Guards: llama-swap's users send it again and expect a new start.
    Yard y(test::config_of({test::model("a")}));
    CHECK(y.request("a") == "start a");
    CHECK(y.failed("a") == "refuse 1:start_failed");
    CHECK(y.request("a") == "start a");
    CHECK(y.failed("a") == "refuse 2:start_failed");
}

TEST_CASE("repeated failures are answered without a start until the rest is over") {
    // Guards: a broken model is not started for each request of a client that retries.
    Yard y = resting();
    CHECK(y.state("a") == ProcessState::failed);
    CHECK(y.request("a") == "refuse 4:model_cooling_down");
    CHECK(y.request("b") == "start b");  // nobody else pays for it
    y.ready("b");
    y.release("b");
    y.pass(Duration(999));
    CHECK(y.request("a") == "refuse 6:model_cooling_down");
    y.pass(Duration(1));
    CHECK(y.request("a") == "stop b:swap");
    CHECK(y.stopped("b") == "start a");
    y.failed("a");
    y.pass(Duration(1'999));  // twice as long
    CHECK(y.request("a") == "refuse 8:model_cooling_down");
}

TEST_CASE("the refusal says when it is tried again and how it failed") {
    // Guards: Retry-After and the reason of the last failure reach the client.
    Yard y = resting();
    y.pass(Duration(100));
    const auto commands = y.scheduler.step(Request{99, ModelId("a")}, y.now);
    REQUIRE(commands.size() == 1);
    const Error error = std::get<Refuse>(commands.front()).error;
    CHECK(error.is(Errc::cooling_down));
    REQUIRE(error.failure);
    CHECK(error.failure->retry_after == std::chrono::seconds(1));
    CHECK(error.detail.find("failed 3 times") != std::string::npos);
    CHECK(error.detail.find("because") != std::string::npos);
    const auto view = y.scheduler.view(ModelId("a"), y.now);
    CHECK(view.failures == 3);
    CHECK(view.retry_at == y.now + Duration(900));
}

TEST_CASE("a reset, an unload and another definition end the rest; an equal config does not") {
    // Guards: whoever mended the model does not have to wait.
    Yard y = resting();
    SUBCASE("a reset") {
        CHECK(y.step(Reset{ModelId("a")}) == "forget a");
        CHECK(y.state("a") == ProcessState::stopped);
        CHECK(y.request("a") == "start a");
    }
    SUBCASE("an unload") {
        CHECK(y.unload("a") == "forget a");
        CHECK(y.request("a") == "start a");
    }
    SUBCASE("another definition") {
        auto mended = test::model("a");
        mended.argv.emplace_back("--mended");
        y.step(Reconfigure{test::config_of({mended, test::model("b")})});
        CHECK(y.request("a") == "start a");
    }
    SUBCASE("an equal one") {
        y.step(Reconfigure{test::config_of({test::model("a"), test::model("b")})});
        CHECK(y.request("a") == "refuse 4:model_cooling_down");
    }
}

TEST_CASE("a model that gets ready is good again: it is started for each request that asks") {
    // Guards: one that dies under requests is reloaded by the next one, as in llama-swap.
    Yard y(test::config_of({test::model("a", 1)}));
    for (int i = 0; i < 5; ++i) {
        CHECK(y.request("a") == "start a");
        y.ready("a");
        CHECK(y.failed("a").empty());  // with the lease out
        y.release("a");
    }
    y.request("a");
    y.request("a");
    y.ready("a");
    CHECK(y.waiting("a") == 1);
    CHECK(y.failed("a") == "start a");  // for the one that waits
    CHECK(y.failed("a") == "refuse 7:start_failed");
    CHECK(y.request("a") == "start a");
    y.failed("a");
    CHECK(y.request("a") == "refuse 9:model_cooling_down");
}

TEST_CASE("what is kept alive is good again when it has served, not when it is ready") {
    // Guards: nobody asks for these starts, so one that always dies soon would loop.
    Yard y(test::config_of({kept("a")}));
    y.load("a");
    for (int i = 0; i < 2; ++i) {
        CHECK(y.failed("a") == "start a");
        y.ready("a");
    }
    CHECK(y.failed("a").empty());
    y.pass(Duration(1'000));
    CHECK(y.tick() == "start a");
    y.ready("a");
    CHECK(y.request("a") == "grant 2:a");
    y.release("a");
    CHECK(y.failed("a") == "start a");
}

TEST_CASE("a model that is kept alive is started again at once when it dies") {
    // Guards: keepAlive: always; without it the next request does that.
    Yard y(test::config_of({kept("a"), test::model("b")}));
    y.load("a");
    CHECK(y.failed("a") == "start a");
    CHECK(y.ready("a").empty());
    CHECK(y.state("a") == ProcessState::ready);
    Yard other(test::config_of({test::model("a")}));
    other.load("a");
    CHECK(other.failed("a").empty());
}

TEST_CASE("what is kept alive cools down, too, and is started when its rest is over") {
    // Guards: no loop of starts; the wake-up is armed without anybody asking.
    Yard y(test::config_of({kept("a")}));
    y.load("a");
    CHECK(y.failed("a") == "start a");
    CHECK(y.failed("a") == "start a");
    CHECK(y.failed("a").empty());
    REQUIRE(y.wake_at.has_value());
    CHECK(*y.wake_at == y.now + Duration(1'000));
    CHECK(y.request("a") == "refuse 2:model_cooling_down");
    y.pass(Duration(1'000));
    CHECK(y.tick() == "start a");
}

TEST_CASE("a model that was told to go is not kept alive, nor one that never was ready") {
    // Guards: unload, TTL, swap and close mean what they say.
    auto a = kept("a");
    a.ttl = std::chrono::seconds(1);
    Yard y(test::config_of({a, test::model("b")}));
    SUBCASE("unload") {
        y.load("a");
        CHECK(y.unload("a") == "stop a:unload");
        CHECK(y.stopped("a").empty());
    }
    SUBCASE("ttl") {
        y.load("a");
        y.pass(Duration(1'000));
        CHECK(y.tick() == "stop a:ttl");
        CHECK(y.stopped("a").empty());
    }
    SUBCASE("a swap") {
        y.load("a");
        CHECK(y.request("b") == "stop a:swap");
        CHECK(y.stopped("a") == "start b");
        y.ready("b");
        y.release("b");
        CHECK(y.failed("b").empty());
    }
    SUBCASE("never ready") {
        y.request("a");
        CHECK(y.failed("a") == "refuse 1:start_failed");
    }
    SUBCASE("unloaded while it rests") {
        y.load("a");
        CHECK(y.failed("a") == "start a");
        CHECK(y.failed("a") == "start a");
        y.failed("a");
        CHECK(y.unload("a") == "forget a");
        y.pass(Duration(5'000));
        CHECK(y.tick().empty());
    }
    SUBCASE("the end") {
        y.load("a");
        CHECK(y.failed("a") == "start a");
        CHECK(y.failed("a") == "start a");
        y.failed("a");
        CHECK(y.step(Close{y.now}).empty());
        CHECK(y.scheduler.idle());
    }
    SUBCASE("no more in the config") {
        y.load("a");
        CHECK(y.failed("a") == "start a");
        CHECK(y.failed("a") == "start a");
        y.failed("a");
        y.step(Reconfigure{test::config_of({test::model("a"), test::model("b")})});
        y.pass(Duration(5'000));
        CHECK(y.tick().empty());
    }
}

TEST_CASE("what is kept alive takes no place from anybody") {
    // Guards: keepAlive starts a model only where nothing has to go for it.
    Yard y(test::config_of({kept("a"), test::model("b")}));
    y.load("a");
    CHECK(y.failed("a") == "start a");
    CHECK(y.failed("a") == "start a");
    y.failed("a");  // rests for a second
    CHECK(y.request("b") == "start b");
    y.pass(Duration(1'000));
    CHECK(y.tick().empty());
    y.ready("b");
    y.release("b");
    CHECK(y.unload("b") == "stop b:unload");
    CHECK(y.stopped("b").empty());  // it gave up its place then
}

TEST_CASE("a forced unload stops a model under its requests, and its leases come back quietly") {
    // Guards: ?force=1; the books of that run are closed at once.
    Yard y(test::config_of({test::model("a")}));
    y.request("a");
    y.ready("a");
    CHECK(y.unload("a").empty());  // drains
    CHECK(y.step(Unload{ModelId("a"), true}) == "stop a:unload");
    CHECK(y.in_flight("a") == 0);
    CHECK(y.release("a").empty());
    CHECK(y.request("a").empty());
    CHECK(y.stopped("a") == "start a");
    y.ready("a");
    CHECK(y.in_flight("a") == 1);
}

TEST_CASE("a lease that does not touch the model leaves its idle time running") {
    // Guards: GET /props does not keep a model loaded, but nothing is stopped under it either.
    Yard y(test::config_of({test::model("a", 0, 10)}));
    y.load("a");
    y.pass(Duration(9'000));
    CHECK(y.request("a") == "grant 2:a");
    y.pass(Duration(2'000));
    CHECK(y.tick().empty());  // leased
    const auto generation = y.scheduler.view(ModelId("a")).generation;
    CHECK(y.step(Released{ModelId("a"), generation, false}) == "stop a:ttl");
}
