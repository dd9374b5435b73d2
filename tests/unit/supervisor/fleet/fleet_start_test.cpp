// The fleet brings models up: macros, probes, failures, the port race, the deadline.
#include "fakes.hpp"

#include <doctest/doctest.h>

using namespace corral;
using namespace corral::test;
using std::chrono_literals::operator""s;

TEST_CASE("a lease names where the model of this run listens, with every macro filled in") {
    ModelConfig a = model("a");
    a.proxy = "http://127.0.0.1:${PORT}/base";
    a.check_endpoint = "/ready/${PORT}";
    a.env = {"MY_PORT=${PORT}"};
    Stage s(config_of({a}));
    const auto got = s.lease("a");
    REQUIRE(got->granted());
    const std::string port = std::to_string(a.port);
    CHECK((*got->result)->endpoint().authority() == "127.0.0.1:" + port);
    CHECK((*got->result)->endpoint().base_path == "/base");
    CHECK((*got->result)->model().id == ModelId("a"));
    CHECK(s.last().spec.argv == std::vector<std::string>{"server", "--port", port, "--name", "a"});
    CHECK(s.last().spec.env == std::vector<std::string>{"MY_PORT=" + port});
    CHECK(s.prober.asked == std::vector<std::string>{"127.0.0.1:" + port + "/ready/" + port});
    CHECK(s.status("a").pid == s.last().pid);
    CHECK(s.status("a").port == a.port);
    CHECK(s.status("a").in_flight == 1);
}

TEST_CASE("a cmd without the port macro gets no port, and no check means: until it accepts") {
    ModelConfig a = model("a");
    a.argv = {"server"};
    a.proxy = "http://localhost:9999";
    a.check_endpoint = "none";
    Stage s(config_of({a}));
    CHECK(s.lease("a")->granted());
    CHECK(s.launcher.asked_ports.empty());
    CHECK(s.prober.asked == std::vector<std::string>{"localhost:9999"});
    CHECK(s.status("a").port == 0);
}

TEST_CASE("requests join one load, and a model that is not ready is asked again and again") {
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::no;
    const auto first = s.acquire("a");
    const auto second = s.acquire("a");
    REQUIRE(s.until([&] { return s.prober.asked.size() >= 3; }));
    CHECK_FALSE(first->result.has_value());
    s.prober.answer = FakeProber::Answer::yes;
    REQUIRE(s.until([&] { return first->granted() && second->granted(); }));
    CHECK(s.launcher.processes.size() == 1);
}

TEST_CASE("a child that ends before it is ready fails the start at once, with its last words") {
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::no;
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
    s.last().exit({false, 3}, "loading\nno such file: x.gguf");
    REQUIRE(s.until([&] { return got->result.has_value(); }));
    CHECK(got->refused(Errc::start_failed));
    CHECK(got->result->error().blame == Blame::upstream);
    CHECK(got->detail().find("exit status 3 after") != std::string::npos);
    CHECK(got->detail().find("no such file: x.gguf") != std::string::npos);
    CHECK(got->detail().find("What to do") != std::string::npos);
    CHECK(got->detail().find("--port") == std::string::npos);
    CHECK(s.state("a") == ProcessState::failed);
    CHECK(s.status("a").last_failure == got->detail());
    CHECK(s.status("a").pid == 0);
    CHECK(s.last().dropped);
    s.prober.answer = FakeProber::Answer::yes;  // and the next request tries again
    CHECK(s.lease("a")->granted());
    CHECK(s.status("a").last_failure.empty());
}

TEST_CASE("a program that cannot be executed is a failed start that says why") {
    Stage s(config_of({model("a"), model("b")}));
    s.launcher.refuse = Error(Errc::start_failed, Blame::upstream, "no program \"server\" on PATH");
    const auto a = s.lease("a");
    CHECK(a->refused(Errc::start_failed));
    CHECK(a->detail().find("no program \"server\" on PATH") != std::string::npos);
    s.launcher.refuse.reset();
    CHECK(s.lease("b")->granted());
}

TEST_CASE("a model without a cmd, or with a broken proxy, fails with words, not with a crash") {
    ModelConfig a = model("a");
    a.argv.clear();
    ModelConfig b = model("b");
    b.proxy = "gopher://${PORT}";
    Stage s(config_of({a, b}));
    CHECK(s.lease("a")->refused(Errc::start_failed));
    CHECK(s.lease("b")->refused(Errc::start_failed));
    CHECK(s.launcher.processes.empty());
}

TEST_CASE("a port that was taken meanwhile is changed once") {
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::no;
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
    s.process(0).exit({false, 1}, "bind: Address already in use");
    REQUIRE(s.until([&] { return s.launcher.processes.size() == 2; }));
    CHECK(s.launcher.asked_ports.back() == 0);
    CHECK(s.process(1).spec.argv[2] == "40000");
    CHECK(s.status("a").port == 40'000);
    SUBCASE("and the second attempt serves") {
        s.prober.answer = FakeProber::Answer::yes;
        REQUIRE(s.until([&] { return got->granted(); }));
        CHECK((*got->result)->endpoint().port == 40'000);
    }
    SUBCASE("and only once") {
        s.process(1).exit({false, 1}, "bind: Address already in use");
        REQUIRE(s.until([&] { return got->result.has_value(); }));
        CHECK(got->refused(Errc::start_failed));
        CHECK(s.launcher.processes.size() == 2);
    }
}

TEST_CASE("a fixed port that is in use is not retried: there is nothing to change") {
    ModelConfig a = model("a");
    a.argv = {"server"};
    a.proxy = "http://localhost:9999";
    Stage s(config_of({a}));
    s.prober.answer = FakeProber::Answer::no;
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return !s.prober.asked.empty(); }));
    s.last().exit({false, 1}, "Address already in use");
    REQUIRE(s.until([&] { return got->result.has_value(); }));
    CHECK(got->refused(Errc::start_failed));
    CHECK(s.launcher.processes.size() == 1);
}

TEST_CASE("the load deadline fires although a probe never returns, and the hung probe is ended") {
    ModelConfig a = model("a");
    a.health_check_timeout = 1s;
    Stage s(config_of({a}));
    s.prober.answer = FakeProber::Answer::hang;
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return got->result.has_value(); }));
    CHECK(got->refused(Errc::start_timeout));
    CHECK(got->detail().find("healthCheckTimeout") != std::string::npos);
    CHECK(got->detail().find("/health") != std::string::npos);
    REQUIRE(s.until([&] { return s.state("a") == ProcessState::failed; }));
    CHECK(s.last().terminated);
    CHECK(s.until([&] { return s.prober.hanging == 0; }));
    CHECK(s.status("a").last_failure == got->detail());
    REQUIRE_FALSE(s.prober.timeouts.empty());
    CHECK(s.prober.timeouts.front() <= 1s);  // never past the deadline
}

TEST_CASE("a probe that breaks its promise and throws counts as not ready") {
    Stage s(config_of({model("a")}));
    s.prober.answer = FakeProber::Answer::raise;
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return s.prober.asked.size() >= 2; }));
    s.prober.answer = FakeProber::Answer::yes;
    CHECK(s.until([&] { return got->granted(); }));
}

TEST_CASE("a swap starts the next model only when the process of the last one has ended") {
    Stage s(config_of({model("a"), model("b")}));
    auto a = s.lease("a");
    s.process(0).ignores_term = true;
    const auto b = s.acquire("b");
    s.settle();
    CHECK(s.launcher.processes.size() == 1);
    CHECK_FALSE(s.process(0).terminated);  // leased
    a->result.reset();
    s.settle();
    CHECK(s.process(0).terminated);
    CHECK(s.state("a") == ProcessState::stopping);
    CHECK(s.launcher.processes.size() == 1);
    s.process(0).exit({false, 0});
    REQUIRE(s.until([&] { return b->granted(); }));
    CHECK(s.state("a") == ProcessState::stopped);
}

TEST_CASE("a crash of a ready model leaves its leases valid and explains itself") {
    Stage s(config_of({model("a")}));
    const auto a = s.lease("a");
    const std::uint64_t generation = (*a->result)->generation();
    auto explained = std::make_shared<std::string>();
    struct Ask {
        static asio::awaitable<void> run(Fleet& fleet, std::uint64_t which,
                                         std::shared_ptr<std::string> out) {
            const PostMortem story = co_await fleet.post_mortem(which, 9s);
            *out = story.text;
        }
    };
    const auto asked = s.start(Ask::run(*s.fleet, generation, explained));
    s.settle();
    CHECK_FALSE(*asked);  // it waits for the end
    s.last().exit({true, SIGSEGV}, "GGML_ASSERT");
    REQUIRE(s.until([&] { return *asked; }));
    CHECK(explained->find("signal 11") != std::string::npos);
    CHECK(explained->find("GGML_ASSERT") != std::string::npos);
    CHECK(s.state("a") == ProcessState::failed);
    CHECK_FALSE(s.status("a").last_failure.empty());
    CHECK((*a->result)->endpoint().port != 0);
    const auto again = s.lease("a");
    REQUIRE(again->granted());
    CHECK((*again->result)->generation() != generation);
    a->result.reset();  // a late release of the dead run does not count for the new one
    CHECK(s.status("a").in_flight == 1);
}

TEST_CASE(
    "post_mortem of a model that lives is empty after its patience, of an unknown run at once") {
    Stage s(config_of({model("a")}));
    const auto a = s.lease("a");
    struct Ask {
        static asio::awaitable<void> run(Fleet& fleet, std::uint64_t which, Duration patience,
                                         std::shared_ptr<std::string> out) {
            const PostMortem story = co_await fleet.post_mortem(which, patience);
            *out = story.text;
        }
    };
    auto text = std::make_shared<std::string>("untouched");
    const auto lives = s.start(Ask::run(*s.fleet, (*a->result)->generation(), Duration(20), text));
    REQUIRE(s.until([&] { return *lives; }));
    CHECK(text->empty());
    *text = "untouched";
    const auto unknown = s.start(Ask::run(*s.fleet, 4711, Duration(9'000), text));
    s.settle();
    CHECK(*unknown);
    CHECK(text->empty());
}

TEST_CASE("500 configured models cost nothing while nobody asks: no process, timer or probe") {
    std::vector<ModelConfig> models;
    for (int i = 0; i < 500; ++i) {
        models.push_back(model("m" + std::to_string(1'000 + i)));
        models.back().ttl = 300s;
    }
    Stage s(config_of(models));
    s.io.restart();
    CHECK(s.io.run_for(std::chrono::milliseconds(50)) == 0);  // the loop has nothing to do at all
    CHECK(s.fleet->models().size() == 500);
}

TEST_CASE("a lease without waiting is given only by a model that is ready, and asks for nothing") {
    ModelConfig a = model("a");
    a.concurrency_limit = 1;
    Stage s(config_of({a}));
    CHECK_FALSE(s.fleet->try_acquire(ModelId("a")).has_value());
    CHECK(s.launcher.processes.empty());
    CHECK_FALSE(s.fleet->try_acquire(ModelId("nobody")).has_value());
    s.lease("a")->result.reset();
    auto first = s.fleet->try_acquire(ModelId("a"));
    REQUIRE(first.has_value());
    REQUIRE(first->has_value());
    CHECK(s.status("a").in_flight == 1);
    auto second = s.fleet->try_acquire(ModelId("a"));
    REQUIRE(second.has_value());
    REQUIRE(second->has_error());
    CHECK(second->error().is(Errc::concurrency_limit));
    first.reset();
    CHECK(s.status("a").in_flight == 0);
    CHECK(s.status("a").waiting == 0);
}

namespace {

struct Noted {
    std::vector<std::uint64_t> waiters;
    std::optional<Result<Lease>> result;
};

asio::awaitable<void> acquire_noting(Fleet& fleet, ModelId id, std::shared_ptr<Noted> noted) {
    const TimePoint deadline = Clock::now() + std::chrono::hours(1);
    const Fleet::OnWait note = [noted](std::uint64_t waiter) { noted->waiters.push_back(waiter); };
    Result<Lease> result = co_await fleet.acquire(std::move(id), deadline, note);
    noted->result.emplace(std::move(result));
}

}  // namespace

TEST_CASE("who has to wait is told so once, and can ask how the request stands") {
    // Guards: what is answered at once is never said to wait, so that its answer keeps its status.
    auto config = config_of({model("a"), model("b"), model("c")});
    config->limits.waiting_per_model = 1;
    Stage s(config);
    const auto holder = s.lease("a");
    const auto at_once = std::make_shared<Noted>();
    s.start(acquire_noting(*s.fleet, ModelId("a"), at_once));
    REQUIRE(s.until([&] { return at_once->result.has_value(); }));
    CHECK(at_once->waiters.empty());
    at_once->result.reset();

    const auto first = std::make_shared<Noted>();
    s.start(acquire_noting(*s.fleet, ModelId("b"), first));
    const auto second = std::make_shared<Noted>();
    s.start(acquire_noting(*s.fleet, ModelId("c"), second));
    const auto refused = std::make_shared<Noted>();
    s.start(acquire_noting(*s.fleet, ModelId("c"), refused));
    REQUIRE(s.until([&] { return refused->result.has_value(); }));
    CHECK(refused->waiters.empty());
    REQUIRE(first->waiters.size() == 1);
    REQUIRE(second->waiters.size() == 1);
    CHECK(s.fleet->standing(ModelId("b"), first->waiters[0]).ahead == 0);
    CHECK(s.fleet->standing(ModelId("c"), second->waiters[0]).ahead == 1);
    CHECK(s.fleet->standing(ModelId("c"), second->waiters[0]).state == ProcessState::stopped);

    s.prober.answer = FakeProber::Answer::no;
    holder->result.reset();
    REQUIRE(s.until([&] { return s.state("b") == ProcessState::starting; }));
    CHECK(s.fleet->standing(ModelId("b"), first->waiters[0]).state == ProcessState::starting);
    s.prober.answer = FakeProber::Answer::yes;
    REQUIRE(s.until([&] { return first->result.has_value(); }));
    first->result.reset();
    REQUIRE(s.until([&] { return second->result.has_value(); }));
    CHECK(first->waiters.size() + second->waiters.size() == 2);
}
