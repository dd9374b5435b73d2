// The process table: every transition that matters, and random event sequences.
#include "supervisor/logic/process_fsm.hpp"

#include <doctest/doctest.h>

#include <random>
#include <stdexcept>
#include <string>
#include <vector>

using namespace corral;

namespace {

constexpr TimePoint t0{};
constexpr Duration load{5'000};
constexpr Duration grace{2'000};

WantUp want_up(bool stop_command = false) {
    return {load, grace, stop_command};
}

std::string name_of(const ProcessCommand& command) {
    struct Namer {
        std::string operator()(const Spawn& c) const { return c.other_port ? "respawn" : "spawn"; }
        std::string operator()(const Probe&) const { return "probe"; }
        std::string operator()(const ArmTimer& c) const {
            const auto ms = std::chrono::duration_cast<Duration>(c.at - t0).count();
            return "arm@" + std::to_string(ms);
        }
        std::string operator()(const CancelTimer&) const { return "cancel"; }
        std::string operator()(const Terminate&) const { return "term"; }
        std::string operator()(const Kill&) const { return "kill"; }
        std::string operator()(const ReportStuck&) const { return "stuck"; }
        std::string operator()(const Announce& c) const {
            return std::string(process_state_name(c.to)) + "(" + std::string(cause_name(c.cause)) +
                   ")";
        }
    };
    return std::visit(Namer{}, command);
}

struct Machine {
    ProcessFsm fsm;
    TimePoint now = t0;
    std::string feed(const ProcessEvent& event) {
        std::string out;
        for (const ProcessCommand& command : fsm.step(event, now)) {
            out += (out.empty() ? "" : " ") + name_of(command);
        }
        fsm.check_invariants();
        return out;
    }
    Machine& at(Duration when) {
        now = t0 + when;
        return *this;
    }
    static Machine ready() {
        Machine m;
        m.feed(want_up());
        m.feed(Spawned{});
        m.feed(Healthy{});
        return m;
    }
};

}  // namespace

TEST_CASE("a start arms its deadline before it launches, probes when it runs, and disarms") {
    Machine m;
    CHECK(m.feed(want_up()) == "starting(wanted) arm@5000 spawn");
    CHECK(m.feed(Spawned{}) == "probe");
    CHECK(m.feed(Healthy{}) == "cancel ready(healthy)");
    CHECK(m.feed(want_up()).empty());
    CHECK(m.feed(TimerFired{}).empty());
}

TEST_CASE("a failed launch is a failure, and the next wish tries again") {
    Machine m;
    m.feed(want_up());
    CHECK(m.feed(SpawnFailed{}) == "cancel failed(spawn_failed)");
    CHECK(m.at(Duration(10)).feed(want_up()) == "starting(wanted) arm@5010 spawn");
}

TEST_CASE("a child that dies before it is ready fails at once") {
    Machine m;
    m.feed(want_up());
    m.feed(Spawned{});
    CHECK(m.feed(Exited{}) == "cancel failed(died_early)");
}

TEST_CASE("a lost race for the port is repeated once, under the same deadline") {
    Machine m;
    m.feed(want_up());
    m.feed(Spawned{});
    CHECK(m.at(Duration(100)).feed(Exited{true}) == "respawn");
    CHECK(m.feed(Spawned{}) == "probe");
    CHECK(m.feed(Exited{true}) == "cancel failed(died_early)");
    m.feed(want_up());
    CHECK(m.feed(Exited{true}) == "respawn");  // a new start has a new retry
}

TEST_CASE("the load deadline stops gently, then kills, then complains, and ends as failed") {
    Machine m;
    m.feed(want_up());
    m.feed(Spawned{});
    CHECK(m.at(load).feed(TimerFired{}) == "stopping(not_ready) term arm@7000");
    CHECK(m.feed(Healthy{}).empty());  // too late
    CHECK(m.at(Duration(7'000)).feed(TimerFired{}) == "kill arm@12000");
    CHECK(m.at(Duration(12'000)).feed(TimerFired{}) == "stuck kill arm@17000");
    CHECK(m.feed(Exited{}) == "cancel failed(not_ready)");
}

TEST_CASE("the deadline holds although the launch has not come back") {
    Machine m;
    m.feed(want_up());
    CHECK(m.at(load).feed(TimerFired{}) == "stopping(not_ready) term arm@7000");
    CHECK(m.feed(Spawned{}) == "term");
    CHECK(m.feed(Exited{}) == "cancel failed(not_ready)");
}

TEST_CASE("a model told to stop while it starts is killed at once") {
    Machine m;
    m.feed(want_up());
    m.feed(Spawned{});
    CHECK(m.feed(WantDown{grace}) == "stopping(told_to_stop) kill arm@5000");
    CHECK(m.feed(Exited{}) == "cancel stopped(told_to_stop)");
}

TEST_CASE("…but a stop command is run even then: it may be all that reaches a container") {
    Machine m;
    m.feed(want_up(true));
    m.feed(Spawned{});
    CHECK(m.feed(WantDown{grace}) == "stopping(told_to_stop) term arm@2000");
    CHECK(m.at(grace).feed(TimerFired{}) == "kill arm@7000");
}

TEST_CASE("a ready model stops with grace, and only its exit makes it stopped") {
    Machine m = Machine::ready();
    CHECK(m.feed(WantDown{grace}) == "stopping(told_to_stop) term arm@2000");
    CHECK(m.at(grace).feed(TimerFired{}) == "kill arm@7000");
    CHECK(m.fsm.state() == ProcessState::stopping);
    CHECK(m.feed(Exited{}) == "cancel stopped(told_to_stop)");
}

TEST_CASE("a second wish to stop shortens the grace and never prolongs it") {
    Machine m = Machine::ready();
    m.feed(WantDown{grace});
    CHECK(m.feed(WantDown{Duration(9'000)}).empty());
    CHECK(m.at(Duration(100)).feed(WantDown{Duration(0)}) == "arm@100");
    CHECK(m.feed(TimerFired{}) == "kill arm@5100");
    CHECK(m.feed(WantDown{Duration(0)}).empty());  // killed already
}

TEST_CASE("a wish to start that comes while it stops is kept until it has stopped") {
    Machine m = Machine::ready();
    m.feed(WantDown{grace});
    CHECK(m.feed(want_up()).empty());
    CHECK(m.at(Duration(50)).feed(Exited{}) ==
          "cancel stopped(told_to_stop) starting(wanted) arm@5050 spawn");
}

TEST_CASE("…and is taken back by a later wish to stop or by Close") {
    Machine m = Machine::ready();
    m.feed(WantDown{grace});
    m.feed(want_up());
    m.feed(WantDown{grace});
    CHECK(m.feed(Exited{}) == "cancel stopped(told_to_stop)");
    m = Machine::ready();
    m.feed(WantDown{grace});
    m.feed(want_up());
    m.feed(CloseProcess{grace});
    CHECK(m.feed(Exited{}) == "cancel closed(closing)");
}

TEST_CASE("a ready model that ends by itself has failed; stopping it then is no error") {
    Machine m = Machine::ready();
    CHECK(m.feed(Exited{}) == "failed(crashed)");
    CHECK(m.feed(WantDown{grace}) == "stopped(told_to_stop)");
    CHECK(m.feed(WantDown{grace}).empty());
}

TEST_CASE("Close leads to closed from every state, and nothing starts afterwards") {
    Machine stopped;
    CHECK(stopped.feed(CloseProcess{grace}) == "closed(closing)");
    CHECK(stopped.feed(want_up()).empty());
    Machine starting;
    starting.feed(want_up());
    starting.feed(Spawned{});
    CHECK(starting.feed(CloseProcess{grace}) == "stopping(told_to_stop) kill arm@5000");
    CHECK(starting.feed(want_up()).empty());
    CHECK(starting.feed(Exited{}) == "cancel closed(closing)");
    Machine ready = Machine::ready();
    CHECK(ready.feed(CloseProcess{grace}) == "stopping(closing) term arm@2000");
    CHECK(ready.feed(Exited{}) == "cancel closed(closing)");
    Machine failed;
    failed.feed(want_up());
    failed.feed(SpawnFailed{});
    CHECK(failed.feed(CloseProcess{grace}) == "closed(closing)");
    CHECK(failed.feed(CloseProcess{grace}).empty());
}

TEST_CASE("an event that cannot happen is a defect and says so") {
    Machine m;
    CHECK_THROWS_AS(m.feed(Exited{}), std::logic_error);
    CHECK_THROWS_AS(m.feed(Spawned{}), std::logic_error);
    Machine up = Machine::ready();
    CHECK_THROWS_AS(up.feed(SpawnFailed{}), std::logic_error);
}

TEST_CASE("random events that can happen never reach an impossible state") {
    // The shell's side of the bargain: Spawn is answered once, then the process exits once.
    for (unsigned seed = 0; seed < 3'000; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        ProcessFsm fsm;
        TimePoint now = t0;
        bool spawning = false;
        bool running = false;
        bool armed = false;
        for (int i = 0; i < 60; ++i) {
            now += Duration(random() % 3'000);
            ProcessEvent event = TimerFired{};
            switch (random() % 9) {
                case 0:
                case 1:
                    event = want_up(random() % 2 == 0);
                    break;
                case 2:
                    event = WantDown{Duration(random() % 3'000)};
                    break;
                case 3:
                    if (!spawning) continue;
                    event = Spawned{};
                    break;
                case 4:
                    if (!spawning) continue;
                    event = SpawnFailed{};
                    break;
                case 5:
                    if (!running) continue;
                    event = Healthy{};
                    break;
                case 6:
                    if (!running) continue;
                    event = Exited{random() % 2 == 0};
                    break;
                case 7:
                    if (!armed) continue;
                    break;
                default:
                    if (random() % 8 != 0) continue;
                    event = CloseProcess{grace};
            }
            if (std::holds_alternative<Spawned>(event)) running = true;
            if (std::holds_alternative<Exited>(event)) running = false;
            if (event.index() == 2 || event.index() == 3) spawning = false;
            if (std::holds_alternative<TimerFired>(event)) armed = false;
            const ProcessState before = fsm.state();
            for (const ProcessCommand& command : fsm.step(event, now)) {
                if (std::holds_alternative<Spawn>(command)) {
                    CHECK_FALSE((spawning || running));
                    spawning = true;
                }
                if (std::holds_alternative<ArmTimer>(command)) armed = true;
                if (std::holds_alternative<CancelTimer>(command)) armed = false;
            }
            fsm.check_invariants();
            // A live process always has a state that says so, and what waits has a timer.
            CHECK(is_at_rest(fsm.state()) == !(spawning || running));
            const bool timed =
                fsm.state() == ProcessState::starting || fsm.state() == ProcessState::stopping;
            CHECK_MESSAGE(timed == armed, process_state_name(before), " ",
                          process_state_name(fsm.state()));
        }
    }
}
