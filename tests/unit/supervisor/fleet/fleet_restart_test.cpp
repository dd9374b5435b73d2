// The fleet and models that fail, and what runs beside a process: cool-down, keepAlive, stalled
// starts, hooks, the time of a stop command, news of transitions.
#include "fakes.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace corral;
using namespace corral::test;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

namespace {

asio::awaitable<void> unload_now(Fleet& fleet, ModelId id, Unloading how) {
    const Result<void> done = co_await fleet.unload(std::move(id), how);
    CHECK(done.has_value());
}

/// A model that fails at every start, and has done so three times.
void fail_thrice(Stage& s) {
    s.prober.answer = FakeProber::Answer::no;
    s.launcher.on_launch = [](FakeProcess& p) {
        p.exit({false, 1}, "error: invalid argument: -x");
    };
    for (int i = 0; i < 3; ++i) {
        CHECK(s.lease("a")->refused(Errc::start_failed));
    }
}

std::size_t count_of(const Stage& s, const std::string& program) {
    return static_cast<std::size_t>(
        std::count_if(s.launcher.processes.begin(), s.launcher.processes.end(),
                      [&](const auto& p) { return p->spec.argv.front() == program; }));
}

}  // namespace

TEST_CASE("a failure is classified, and is shown as data beside its words") {
    // Guards: class, status, last lines and advice reach whoever lists models or answers clients.
    ModelConfig a = model("a");
    a.env = {"API_TOKEN=hush-hush"};
    Stage s(config_of({a}));
    s.launcher.on_launch = [](FakeProcess& p) {
        p.exit({false, 1}, "using hush-hush\nCUDA error: out of memory");
    };
    s.prober.answer = FakeProber::Answer::no;
    const auto got = s.lease("a");
    REQUIRE(got->refused(Errc::start_failed));
    const auto failure = got->result->error().failure;
    REQUIRE(failure);
    CHECK(failure->kind == FailureClass::out_of_memory);
    CHECK(failure->status == "exit status 1");
    CHECK(failure->last_lines == "using [hidden]\nCUDA error: out of memory");
    CHECK_FALSE(failure->hint.empty());
    CHECK(s.status("a").failure == failure);
    CHECK(s.status("a").failures == 1);
    CHECK_FALSE(s.status("a").retry_in.has_value());
}

TEST_CASE("a model that fails again and again is left alone until it is reset or unloaded") {
    // Guards: 503 with the reason and the time instead of a start for each request.
    Stage s(config_of({model("a")}));
    fail_thrice(s);
    const auto refused = s.lease("a");
    REQUIRE(refused->refused(Errc::cooling_down));
    CHECK(refused->detail().find("invalid argument") != std::string::npos);
    REQUIRE(refused->result->error().failure);
    CHECK(refused->result->error().failure->kind == FailureClass::bad_flag);
    CHECK(refused->result->error().failure->retry_after == 1s);
    CHECK(s.launcher.processes.size() == 3);
    CHECK(s.status("a").retry_in.value_or(0ms) > 0ms);
    CHECK(s.state("a") == ProcessState::failed);
    s.launcher.on_launch = nullptr;
    s.prober.answer = FakeProber::Answer::yes;
    SUBCASE("reset") {
        CHECK(s.fleet->reset(ModelId("a")).has_value());
    }
    SUBCASE("unloaded") {
        const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
        REQUIRE(s.until([&] { return *done; }));
    }
    CHECK(s.state("a") == ProcessState::stopped);
    CHECK(s.status("a").last_failure.empty());
    CHECK(s.status("a").failure == nullptr);
    CHECK(s.lease("a")->granted());
    CHECK(s.fleet->reset(ModelId("zzz")).error().is(Errc::model_not_found));
}

TEST_CASE("a model that is kept alive comes back without being asked for") {
    // Guards: keepAlive: always restarts a ready model that died.
    ModelConfig a = model("a");
    a.keep_alive = true;
    Stage s(config_of({a}));
    s.lease("a")->result.reset();
    s.last().exit({true, SIGSEGV});
    REQUIRE(s.until([&] { return s.launcher.processes.size() == 2; }));
    CHECK(s.until([&] { return s.state("a") == ProcessState::ready; }));
}

TEST_CASE("news come in the order in which things happened") {
    // Guards: what follows from a transition, such as the start of a model that is kept alive, is
    // told after it; and every listener hears of it.
    ModelConfig a = model("a");
    a.keep_alive = true;
    Stage s(config_of({a}));
    std::vector<ProcessState> first;
    std::vector<ProcessState> second;
    s.fleet->on_news([&](const ProcessNews& news) { first.push_back(news.state); });
    s.fleet->on_news([&](const ProcessNews& news) { second.push_back(news.state); });
    s.lease("a")->result.reset();
    s.last().exit({true, SIGSEGV});
    REQUIRE(s.until([&] { return first.size() == 5; }));
    using enum ProcessState;
    CHECK(first == std::vector{starting, ready, failed, starting, ready});
    CHECK(second == first);
}

TEST_CASE("a model that stops has not been told to end when its news come") {
    // Guards: whoever closes idle connections to it first spares it the wait for them.
    Stage s(config_of({model("a")}));
    s.lease("a")->result.reset();
    bool told_before = false;
    s.fleet->on_news([&](const ProcessNews& news) {
        told_before = told_before || (news.state == ProcessState::stopping && s.last().terminated);
    });
    const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    REQUIRE(s.until([&] { return *done; }));
    CHECK(s.last().terminated);
    CHECK_FALSE(told_before);
}

TEST_CASE("a start that neither prints nor reads fails after startStallTimeout") {
    // Guards: a hanging start is found long before a deadline that is made for slow disks.
    ModelConfig a = model("a");
    a.start_stall_timeout = 300ms;
    Stage s(config_of({a}));
    s.prober.answer = FakeProber::Answer::no;
    SUBCASE("it does nothing") {
        s.launcher.on_launch = [](FakeProcess& p) { p.activity = 7; };
        const auto got = s.lease("a");
        REQUIRE(got->refused(Errc::start_timeout));
        CHECK(got->detail().find("startStallTimeout") != std::string::npos);
        REQUIRE(got->result->error().failure);
        CHECK(got->result->error().failure->kind == FailureClass::timed_out);
        REQUIRE(s.until([&] { return s.state("a") == ProcessState::failed; }));
        CHECK(s.last().terminated);
    }
    SUBCASE("it works, or nobody can tell") {
        bool works = false;
        SUBCASE("it works") {
            works = true;
        }
        SUBCASE("nobody can tell") {}
        const auto got = s.acquire("a");
        REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
        const TimePoint until = Clock::now() + 900ms;
        std::uint64_t bytes = 0;
        s.until([&] {
            if (works) {
                s.last().activity = ++bytes;
            }
            return Clock::now() >= until;
        });
        CHECK_FALSE(s.last().terminated);
        s.prober.answer = FakeProber::Answer::yes;
        CHECK(s.until([&] { return got->granted(); }));
    }
}

TEST_CASE("hooks run when it is ready, before it is stopped and when it has ended") {
    // Guards: their words have this run's macros; SIGTERM comes after beforeStop.
    ModelConfig a = model("a");
    a.hooks.after_ready = {"warm-up", "${PORT}", "${PID}"};
    a.hooks.before_stop = {"save", "${PID}"};
    a.hooks.after_stop = {"clean", "${PID}"};
    Stage s(config_of({a}));
    s.lease("a")->result.reset();  // which waited for no hook
    REQUIRE(s.until([&] { return count_of(s, "warm-up") == 1; }));
    CHECK(s.last().spec.argv == std::vector<std::string>{"warm-up", "5897", "1000"});
    s.last().exit({false, 0});
    const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    REQUIRE(s.until([&] { return count_of(s, "save") == 1; }));
    CHECK_FALSE(s.process(0).terminated);
    CHECK(s.state("a") == ProcessState::stopping);
    s.last().exit({false, 1});  // a warning, no more
    REQUIRE(s.until([&] { return *done; }));
    CHECK(s.process(0).terminated);
    REQUIRE(s.until([&] { return count_of(s, "clean") == 1; }));
    CHECK(s.last().spec.argv.back() == "1000");
}

TEST_CASE("a hook that hangs delays the stop by its time-out, and is killed") {
    // Guards: no hook can keep a model.
    ModelConfig a = model("a");
    a.hooks.before_stop = {"hang"};
    a.hooks.timeout = 50ms;
    Stage s(config_of({a}));
    s.lease("a")->result.reset();
    s.launcher.on_launch = [](FakeProcess& p) { p.ignores_term = true; };
    const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    REQUIRE(s.until([&] { return *done; }));
    CHECK(s.process(0).terminated);
    CHECK(s.until([&] { return s.process(1).killed && s.process(1).dropped; }));
}

TEST_CASE("a start that is given up runs no beforeStop: nothing has begun that could be saved") {
    // Guards: unload while starting kills at once.
    ModelConfig a = model("a");
    a.hooks.before_stop = {"save"};
    Stage s(config_of({a}));
    s.prober.answer = FakeProber::Answer::no;
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
    const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    REQUIRE(s.until([&] { return *done; }));
    CHECK(got->refused(Errc::unloaded));
    CHECK(s.process(0).killed);
    CHECK(count_of(s, "save") == 0);
}

TEST_CASE("a stop command has a time of its own, after which SIGTERM gets the whole grace") {
    // Guards: a hanging cmdStop is killed, and the model still may end by itself.
    ModelConfig a = model("a");
    a.cmd_stop = {"stop-it"};
    a.cmd_stop_timeout = 50ms;
    a.unload_timeout = 3600s;
    Stage s(config_of({a}));
    s.lease("a")->result.reset();
    s.launcher.on_launch = [](FakeProcess& p) { p.ignores_term = true; };
    const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    REQUIRE(s.until([&] { return *done; }));
    CHECK(s.process(0).terminated);
    CHECK_FALSE(s.process(0).killed);
    CHECK(s.until([&] { return s.process(1).killed && s.process(1).dropped; }));
}

TEST_CASE("a model has not stopped while its stop command is at work") {
    // Guards: the next start does not meet a container that is still being stopped.
    ModelConfig a = model("a");
    a.cmd_stop = {"stop-it"};
    Stage s(config_of({a}));
    s.lease("a")->result.reset();
    const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    REQUIRE(s.until([&] { return s.launcher.processes.size() == 2; }));
    s.process(0).exit({false, 0});
    s.settle();
    CHECK_FALSE(*done);
    CHECK(s.state("a") == ProcessState::stopping);
    s.process(1).exit({false, 0});
    CHECK(s.until([&] { return *done; }));
}

TEST_CASE("a forced unload takes a model from under its leases and says why") {
    // Guards: ?force=1 waits for nobody; who was using the model learns that it was unloaded.
    Stage s(config_of({model("a")}));
    const auto a = s.lease("a");
    const auto drains = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    s.settle();
    CHECK_FALSE(*drains);
    const auto forced = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::forced));
    REQUIRE(s.until([&] { return *forced && *drains; }));
    CHECK(s.last().terminated);
    struct Ask {
        static asio::awaitable<void> run(Fleet& fleet, std::uint64_t which,
                                         std::shared_ptr<PostMortem> out) {
            PostMortem story = co_await fleet.post_mortem(which, 1s);
            *out = std::move(story);
        }
    };
    auto story = std::make_shared<PostMortem>();
    const auto asked = s.start(Ask::run(*s.fleet, (*a->result)->generation(), story));
    REQUIRE(s.until([&] { return *asked; }));
    CHECK(story->text == "it was stopped (unload)");
    CHECK(story->failure == nullptr);
}

TEST_CASE("every transition is news with its cause, times and failure") {
    // Guards: what metrics and events are made of; nothing is told twice or left out.
    Stage s(config_of({model("a")}));
    std::vector<ProcessNews> news;
    s.fleet->on_news([&](const ProcessNews& one) { news.push_back(one); });
    s.lease("a")->result.reset();
    s.last().exit({false, 7}, "bye");
    REQUIRE(s.until([&] { return s.state("a") == ProcessState::failed; }));
    s.lease("a")->result.reset();
    const auto done = s.start(unload_now(*s.fleet, ModelId("a"), Unloading::drains));
    REQUIRE(s.until([&] { return *done; }));
    using enum ProcessState;
    const ProcessState expected[] = {starting, ready, failed, starting, ready, stopping, stopped};
    const Cause causes[] = {Cause::wanted,  Cause::healthy,      Cause::crashed,     Cause::wanted,
                            Cause::healthy, Cause::told_to_stop, Cause::told_to_stop};
    REQUIRE(news.size() == std::size(expected));
    for (std::size_t i = 0; i < news.size(); ++i) {
        CAPTURE(i);
        CHECK(news[i].state == expected[i]);
        CHECK(news[i].cause == causes[i]);
        CHECK(news[i].from == (i == 0 ? stopped : expected[i - 1]));
        CHECK(news[i].lasted >= Duration(0));
        CHECK(news[i].since_start >= Duration(0));
        CHECK(news[i].when.time_since_epoch().count() > 0);
        CHECK((news[i].failure != nullptr) == (expected[i] == failed));
    }
    CHECK(news[0].generation != news[3].generation);
    CHECK(news[2].failure->status == "exit status 7");
    CHECK(news[5].reason == StopReason::unload);
    CHECK(s.status("a").since == news.back().when);
}
