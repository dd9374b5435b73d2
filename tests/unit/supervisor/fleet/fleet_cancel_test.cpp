// Clients go away at every moment, and objects in every order: nothing leaks, nobody is forgotten.
#include "fakes.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

using namespace corral;
using namespace corral::test;
using std::chrono_literals::operator""s;

TEST_CASE("a cancelled waiter leaves the queue whichever cancellation it was; the load goes on") {
    for (const auto type : {asio::cancellation_type::terminal, asio::cancellation_type::partial,
                            asio::cancellation_type::total}) {
        Stage s(config_of({model("a")}));
        s.prober.answer = FakeProber::Answer::no;
        const auto gone = s.acquire("a");
        const auto stays = s.acquire("a");
        REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
        CHECK(s.status("a").waiting == 2);
        gone->signal.emit(type);
        REQUIRE(s.until([&] { return gone->result.has_value(); }));
        CHECK(gone->refused(Errc::cancelled));
        CHECK(s.status("a").waiting == 1);
        s.prober.answer = FakeProber::Answer::yes;
        CHECK(s.until([&] { return stays->granted(); }));
    }
}

TEST_CASE("the deadline of a request is its own: it leaves, the load goes on") {
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::no;
    const auto late = s.acquire("a", Clock::now() + Duration(10));
    REQUIRE(s.until([&] { return late->result.has_value(); }));
    CHECK(late->refused(Errc::timed_out));
    CHECK(s.status("a").waiting == 0);
    s.prober.answer = FakeProber::Answer::yes;
    CHECK(s.until([&] { return s.state("a") == ProcessState::ready; }));
}

TEST_CASE("cancelled after any number of steps of the loop, a request never leaks its lease") {
    int cancelled = 0;
    int granted = 0;
    for (int steps = 0; steps < 60; ++steps) {
        CAPTURE(steps);
        Stage s(config_of({model("a"), model("b")}));
        s.lease("b")->result.reset();  // ready and idle: a swap is part of the story
        const auto a = s.acquire("a");
        for (int i = 0; i < steps; ++i) {
            s.io.restart();
            s.io.run_one_for(std::chrono::milliseconds(1));
        }
        a->signal.emit(asio::cancellation_type::terminal);
        REQUIRE(s.until([&] { return a->result.has_value(); }));
        (a->granted() ? granted : cancelled) += 1;
        CHECK((a->granted() || a->refused(Errc::cancelled)));
        a->result.reset();
        s.settle();
        CHECK(s.status("a").in_flight == 0);
        CHECK(s.status("a").waiting == 0);
        CHECK_FALSE(a->threw);
    }
    CHECK(cancelled > 0);
    CHECK(granted > 0);
}

namespace {

asio::awaitable<int> client_leaves(Wakeup& left) {
    co_await left.wait(TimePoint::max());
    co_return 1;
}

/// As a session does it: the request or the client's end, whichever is first.
asio::awaitable<void> acquire_or_leave(Fleet& fleet, ModelId id, Wakeup& left,
                                       std::shared_ptr<int> outcome) {
    using namespace asio::experimental::awaitable_operators;
    const TimePoint deadline = Clock::now() + 30s;
    auto first = co_await (fleet.acquire(std::move(id), deadline) || client_leaves(left));
    *outcome = first.index() == 0 ? 1 : 2;
}

}  // namespace

TEST_CASE("`acquire || watch` ends with the client, and a grant that races with it goes back") {
    Stage s(config_of({model("a")}));
    Wakeup left(s.io.get_executor());
    auto outcome = std::make_shared<int>(0);
    SUBCASE("the client leaves while the model loads") {
        s.prober.answer = FakeProber::Answer::no;
        s.start(acquire_or_leave(*s.fleet, ModelId("a"), left, outcome));
        REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
        left.notify_all();
        REQUIRE(s.until([&] { return *outcome != 0; }));
        CHECK(*outcome == 2);
    }
    SUBCASE("client and grant at the same moment") {
        const auto first = s.lease("a");  // ready: the next grant is immediate
        s.start(acquire_or_leave(*s.fleet, ModelId("a"), left, outcome));
        asio::post(s.io, [&] { left.notify_all(); });
        REQUIRE(s.until([&] { return *outcome != 0; }));
        first->result.reset();
    }
    s.settle();
    CHECK(s.status("a").in_flight == 0);
    CHECK(s.status("a").waiting == 0);
}

TEST_CASE("a lease that outlives the fleet is harmless and still readable") {
    std::shared_ptr<Pending> lease;
    Stage s(config_of({model("a")}));
    lease = s.lease("a");
    s.fleet.reset();
    CHECK(s.last().killed);  // nothing is left running
    CHECK((*lease->result)->model().id == ModelId("a"));
    lease->result.reset();
    s.settle();
}

TEST_CASE("a fleet that goes answers those who still wait") {
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::hang;
    const auto waits = s.acquire("a");
    REQUIRE(s.until([&] { return s.prober.hanging == 1; }));
    s.fleet.reset();
    REQUIRE(s.until([&] { return waits->result.has_value(); }));
    CHECK(waits->refused(Errc::shutting_down));
    CHECK(s.until([&] { return s.prober.hanging == 0 && s.last().dropped; }));
}

TEST_CASE("a loop that ends with requests and processes in it is taken down without a word") {
    auto s = std::make_unique<Stage>(config_of({model("a"), model("b")}));
    s->lease("a");
    s->prober.answer = FakeProber::Answer::hang;
    s->acquire("b");
    s->acquire("a");
    s->settle();
    const auto processes = s->launcher.processes;
    s.reset();
    for (const auto& process : processes) {
        CHECK(process->dropped);
    }
}

TEST_CASE("a release inside a grant is taken in its turn: limit 1, many requests, none is lost") {
    ModelConfig a = model("a");
    a.concurrency_limit = 1;
    Stage s(config_of({a}));
    s.prober.answer = FakeProber::Answer::no;
    std::vector<std::shared_ptr<Pending>> all;
    for (int i = 0; i < 50; ++i) {
        all.push_back(s.acquire("a"));
    }
    s.settle();
    s.prober.answer = FakeProber::Answer::yes;
    for (int i = 0; i < 50; ++i) {
        const auto& next = all[static_cast<std::size_t>(i)];
        REQUIRE(s.until([&] { return next->granted(); }));
        CHECK(s.status("a").in_flight == 1);
        next->result.reset();
    }
    s.settle();
    CHECK(s.status("a").in_flight == 0);
    CHECK(s.acquire("a") != nullptr);
}

TEST_CASE("a request beyond the limit of a ready model is refused at once, without a suspension") {
    ModelConfig a = model("a");
    a.concurrency_limit = 1;
    Stage s(config_of({a}));
    const auto first = s.lease("a");
    const auto second = s.acquire("a");
    s.settle();
    CHECK(second->refused(Errc::concurrency_limit));
    CHECK(second->result->error().blame == Blame::client);
}
