// The fleet takes models down: unload, TTL, stop commands, a new config, the end.
#include "fakes.hpp"

#include <doctest/doctest.h>

using namespace corral;
using namespace corral::test;
using std::chrono_literals::operator""s;

namespace {

struct Unloaded {
    std::optional<Result<void>> result;
};

asio::awaitable<void> unload_into(Fleet& fleet, ModelId id, std::shared_ptr<Unloaded> out) {
    Result<void> result = co_await fleet.unload(std::move(id));
    out->result.emplace(std::move(result));
}

std::shared_ptr<Unloaded> unload(Stage& s, const char* id) {
    auto out = std::make_shared<Unloaded>();
    s.start(unload_into(*s.fleet, ModelId(id), out));
    return out;
}

std::shared_ptr<Config> side_by_side(std::vector<ModelConfig> models) {
    auto config = config_of(std::move(models));
    GroupConfig all{"all", false, false, false, {}};
    for (const ModelConfig& each : config->models) {
        all.members.push_back(each.id);
    }
    config->groups = {all};
    return config;
}

}  // namespace

TEST_CASE("unload waits for the leases, completes when the process has ended, delays nobody else") {
    Stage s(side_by_side({model("a"), model("b")}));
    const auto a = s.lease("a");
    s.process(0).ignores_term = true;
    const auto done = unload(s, "a");
    s.settle();
    CHECK_FALSE(s.process(0).terminated);
    CHECK(s.lease("b")->granted());
    a->result.reset();
    s.settle();
    CHECK(s.process(0).terminated);
    CHECK_FALSE(done->result.has_value());
    s.process(0).exit({false, 0});
    REQUIRE(s.until([&] { return done->result.has_value(); }));
    CHECK(done->result->has_value());
    CHECK(s.state("a") == ProcessState::stopped);
}

TEST_CASE("unload while starting kills at once and answers every waiter") {
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::hang;
    const auto one = s.acquire("a");
    const auto two = s.acquire("a");
    REQUIRE(s.until([&] { return s.prober.hanging == 1; }));
    const auto done = unload(s, "a");
    REQUIRE(s.until([&] { return done->result.has_value(); }));
    CHECK(one->refused(Errc::unloaded));
    CHECK(two->refused(Errc::unloaded));
    CHECK(s.last().killed);
    CHECK(s.until([&] { return s.prober.hanging == 0; }));
    CHECK(s.state("a") == ProcessState::stopped);
    CHECK(s.status("a").last_failure.empty());
}

TEST_CASE("unload of what does not run is done at once, of an unknown model an error") {
    Stage s(config_of({model("a")}));
    const auto a = unload(s, "a");
    const auto z = unload(s, "z");
    s.settle();
    REQUIRE(a->result.has_value());
    CHECK(a->result->has_value());
    REQUIRE(z->result.has_value());
    CHECK(z->result->error().is(Errc::model_not_found));
}

TEST_CASE("a request during an unload starts the model again and does not keep unload waiting") {
    Stage s(config_of({model("a")}));
    const auto first = s.lease("a");
    const auto done = unload(s, "a");
    s.settle();
    const auto second = s.acquire("a");
    first->result.reset();
    REQUIRE(s.until([&] { return done->result.has_value() && second->granted(); }));
    CHECK(s.launcher.processes.size() == 2);
}

TEST_CASE("unload_all ends every model") {
    Stage s(side_by_side({model("a"), model("b"), model("c")}));
    s.lease("a")->result.reset();
    s.lease("b")->result.reset();
    const auto done = s.start(s.fleet->unload_all());
    REQUIRE(s.until([&] { return *done; }));
    CHECK(s.state("a") == ProcessState::stopped);
    CHECK(s.state("b") == ProcessState::stopped);
}

TEST_CASE("a process that ignores SIGTERM is killed after the grace") {
    ModelConfig a = model("a");
    a.unload_timeout = 0s;
    Stage s(config_of({a}));
    s.lease("a")->result.reset();
    s.last().ignores_term = true;
    const auto done = unload(s, "a");
    REQUIRE(s.until([&] { return done->result.has_value(); }));
    CHECK(s.last().terminated);
    CHECK(s.last().killed);
}

TEST_CASE("a process that even SIGKILL does not end stays `stopping`: its memory is not free") {
    ModelConfig a = model("a");
    a.unload_timeout = 0s;
    Stage s(config_of({a, model("b")}));
    s.lease("a")->result.reset();
    s.last().ignores_term = true;
    s.last().ignores_kill = true;
    const auto b = s.acquire("b");
    REQUIRE(s.until([&] { return s.process(0).killed; }));
    s.settle();
    CHECK(s.state("a") == ProcessState::stopping);
    CHECK_FALSE(b->result.has_value());
    s.process(0).exit({true, SIGKILL});
    CHECK(s.until([&] { return b->granted(); }));
}

TEST_CASE("the stop command runs instead of SIGTERM, with port and pid filled in") {
    ModelConfig a = model("a");
    a.cmd_stop = {"docker", "stop", "m-${PORT}", "${PID}"};
    Stage s(config_of({a}));
    s.lease("a")->result.reset();
    const auto done = unload(s, "a");
    REQUIRE(s.until([&] { return s.launcher.processes.size() == 2; }));
    CHECK(s.process(1).spec.argv == std::vector<std::string>{"docker", "stop",
                                                             "m-" + std::to_string(a.port),
                                                             std::to_string(s.process(0).pid)});
    CHECK_FALSE(s.process(0).terminated);
    s.process(0).exit({false, 0});
    s.process(1).exit({false, 0});
    REQUIRE(s.until([&] { return done->result.has_value(); }));
    CHECK_FALSE(s.process(0).terminated);
}

TEST_CASE("a stop command that fails is replaced by SIGTERM, one that hangs is killed") {
    ModelConfig a = model("a");
    a.cmd_stop = {"stop-it"};
    SUBCASE("it fails") {
        Stage s(config_of({a}));
        s.lease("a")->result.reset();
        const auto done = unload(s, "a");
        REQUIRE(s.until([&] { return s.launcher.processes.size() == 2; }));
        s.process(1).exit({false, 1});
        REQUIRE(s.until([&] { return done->result.has_value(); }));
        CHECK(s.process(0).terminated);
    }
    SUBCASE("it cannot be executed") {
        Stage s(config_of({a}));
        s.lease("a")->result.reset();
        s.launcher.refuse = Error(Errc::start_failed, Blame::upstream, "no such program");
        const auto done = unload(s, "a");
        REQUIRE(s.until([&] { return done->result.has_value(); }));
        CHECK(s.process(0).terminated);
    }
    SUBCASE("it hangs, and so does the model") {
        a.unload_timeout = 1s;
        Stage s(config_of({a}));
        s.lease("a")->result.reset();
        s.last().ignores_term = true;
        s.launcher.on_launch = [](FakeProcess& p) { p.ignores_term = true; };
        const auto done = unload(s, "a");
        REQUIRE(s.until([&] { return done->result.has_value(); }));
        CHECK(s.process(0).killed);
        CHECK(s.until([&] { return s.process(1).killed && s.process(1).dropped; }));
    }
}

TEST_CASE("an idle model is unloaded when its TTL has passed, counted from the end of the lease") {
    ModelConfig a = model("a");
    a.ttl = 1s;
    Stage s(config_of({a}));
    auto lease = s.lease("a");
    const TimePoint released = Clock::now();
    lease->result.reset();
    REQUIRE(s.until([&] { return s.state("a") == ProcessState::stopped; }));
    CHECK(Clock::now() - released >= 1s);
    CHECK(s.last().terminated);
}

TEST_CASE("a new config keeps unchanged models and stops removed and changed ones when drained") {
    Stage s(side_by_side({model("a"), model("b"), model("c")}));
    const auto a = s.lease("a");
    auto b = s.lease("b");
    s.lease("c")->result.reset();
    ModelConfig changed = model("b");
    changed.argv.emplace_back("--more");
    auto next = side_by_side({model("a"), changed});
    s.fleet->apply(next);
    s.settle();
    CHECK_FALSE(s.process(0).terminated);
    CHECK_FALSE(s.process(1).terminated);  // leased
    CHECK(s.process(2).terminated);        // removed and idle
    CHECK(s.fleet->config() == next);
    CHECK(s.fleet->models().size() == 2);
    CHECK((*b->result)->model().argv == model("b").argv);  // the lease keeps what it was given
    b->result.reset();
    s.settle();
    CHECK(s.process(1).terminated);
    const auto again = s.lease("b");
    REQUIRE(again->granted());
    CHECK(s.last().spec.argv.back() == "--more");
    CHECK(s.lease("c")->refused(Errc::model_not_found));
    CHECK((*a->result)->model().id == ModelId("a"));
}

TEST_CASE("what a run can still use of a new config it uses: how to stop, where to ask") {
    // Guards: such a change takes effect without a new process, also in the middle of a start.
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::no;
    const auto a = s.acquire("a");
    REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
    ModelConfig changed = model("a");
    changed.check_endpoint = "/ready";
    changed.cmd_stop = {"stop", "${PID}"};
    s.fleet->apply(config_of({changed}));
    s.prober.answer = FakeProber::Answer::yes;
    REQUIRE(s.until([&] { return a->granted(); }));
    CHECK(s.prober.asked.back().ends_with("/ready"));
    CHECK(s.launcher.processes.size() == 1);
    a->result.reset();
    const auto done = unload(s, "a");
    REQUIRE(s.until([&] { return s.launcher.processes.size() == 2; }));
    CHECK(s.last().spec.argv == std::vector<std::string>{"stop", "1000"});
    s.last().exit({false, 0});
    s.process(0).exit({false, 0});
    REQUIRE(s.until([&] { return done->result.has_value(); }));
}

TEST_CASE("close refuses who waits, lets leases end, stops all, and nothing starts afterwards") {
    Stage s(side_by_side({model("a"), model("b"), model("c")}));
    const auto a = s.lease("a");
    s.lease("b")->result.reset();
    s.prober.answer = FakeProber::Answer::hang;
    const auto c = s.acquire("c");
    REQUIRE(s.until([&] { return s.prober.hanging == 1; }));
    const auto closed = s.start(s.fleet->close(60s));
    s.settle();
    CHECK(c->refused(Errc::shutting_down));
    CHECK(s.process(2).killed);      // was starting
    CHECK(s.process(1).terminated);  // was idle
    CHECK_FALSE(s.process(0).terminated);
    CHECK_FALSE(*closed);
    CHECK(s.lease("b")->refused(Errc::shutting_down));
    a->result.reset();
    REQUIRE(s.until([&] { return *closed; }));
    CHECK(s.process(0).terminated);
    CHECK(s.state("a") == ProcessState::closed);
    for (const auto& process : s.launcher.processes) {
        CHECK(process->dropped);
    }
}

TEST_CASE("close takes leased models down when the grace is over; the leases stay harmless") {
    Stage s(config_of({model("a")}));
    const auto a = s.lease("a");
    const auto closed = s.start(s.fleet->close(Duration(20)));
    REQUIRE(s.until([&] { return *closed; }));
    CHECK(s.last().terminated);
    CHECK((*a->result)->endpoint().port != 0);
    a->result.reset();
    s.settle();
}

TEST_CASE("close of an empty fleet is done at once, a second close is harmless") {
    Stage s(config_of({model("a")}));
    const auto first = s.start(s.fleet->close(60s));
    s.settle();
    CHECK(*first);
    const auto second = s.start(s.fleet->close(Duration::max()));
    s.settle();
    CHECK(*second);
}

TEST_CASE("an attached use does not count: nothing waits for it") {
    // Guards: an open page never keeps a model from being swapped, unloaded or used by others.
    auto a = model("a");
    a.concurrency_limit = 1;
    Stage s(config_of({a, model("b")}));
    CHECK(s.fleet->attach(ModelId("a")).error().is(Errc::conflict));
    CHECK(s.fleet->attach(ModelId("zzz")).error().is(Errc::model_not_found));
    CHECK(s.launcher.processes.empty());
    s.lease("a")->result.reset();
    std::vector<Lease> attached;
    for (int i = 0; i < 3; ++i) {
        auto lease = s.fleet->attach(ModelId("a"));
        REQUIRE(lease.has_value());
        attached.push_back(std::move(*lease));
    }
    CHECK(attached[0].endpoint().port == s.status("a").port);
    CHECK(s.status("a").in_flight == 0);
    CHECK(s.lease("a")->granted());  // its one place is free
    const auto told = s.start(attached[0].until_told_to_go());
    s.settle();
    CHECK_FALSE(*told);
    SUBCASE("a swap") {
        CHECK(s.lease("b")->granted());
        CHECK(s.process(0).terminated);
    }
    SUBCASE("an unload") {
        const auto done = unload(s, "a");
        REQUIRE(s.until([&] { return done->result.has_value(); }));
        CHECK(done->result->has_value());
    }
    SUBCASE("the end") {
        const auto closed = s.start(s.fleet->close(Duration(std::chrono::hours(1))));
        REQUIRE(s.until([&] { return *closed; }));
        CHECK(s.fleet->attach(ModelId("a")).error().is(Errc::shutting_down));
    }
    CHECK(s.until([&] { return *told; }));
    const auto late = s.start(attached[1].until_told_to_go());
    CHECK(s.until([&] { return *late; }));  // of a run that has ended, too
    attached.clear();
    s.settle();
    CHECK(s.status("a").in_flight == 0);
}

TEST_CASE("a lease's holder is told when its model has to wait for it") {
    // Guards: an unload, a new config and the end are not kept waiting by a tunnel for ever.
    Stage s(side_by_side({model("a"), model("b")}));
    const auto a = s.lease("a");
    REQUIRE(a->granted());
    const auto told = s.start(a->result->value().until_told_to_go());
    s.lease("b")->result.reset();
    s.settle();
    CHECK_FALSE(*told);
    std::shared_ptr<bool> closed;
    SUBCASE("an unload") {
        static_cast<void>(unload(s, "a"));
    }
    SUBCASE("a new config without it") {
        s.fleet->apply(config_of({model("b")}));
    }
    SUBCASE("the end") {
        closed = s.start(s.fleet->close(Duration(std::chrono::hours(1))));
    }
    REQUIRE(s.until([&] { return *told; }));
    CHECK_FALSE(s.process(0).terminated);
    a->result.reset();
    CHECK(s.until([&] { return s.process(0).terminated; }));
    CHECK(s.until([&] { return !closed || *closed; }));
}

TEST_CASE("who waits to be told that a model has to go learns that the fleet has gone") {
    // Guards: no coroutine is left behind, and none touches what is not there any more.
    Stage s(config_of({model("a")}));
    const auto a = s.lease("a");
    const auto told = s.start(a->result->value().until_told_to_go());
    s.settle();
    s.fleet.reset();
    CHECK(s.until([&] { return *told; }));
}
