// The process table: every transition that matters, and random event sequences.
#include "supervisor/logic/process_fsm.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
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

TEST_CASE("a start that does nothing fails like one that takes too long") {
    // Guards: startStallTimeout ends a start before its deadline, gently, and says which it was.
    Machine m;
    m.feed(want_up());
    m.feed(Spawned{});
    CHECK(m.at(Duration(1'000)).feed(Stalled{}) == "stopping(stalled) term arm@3000");
    CHECK(m.feed(Stalled{}).empty());
    CHECK(m.feed(Exited{}) == "cancel failed(stalled)");
    CHECK(Machine::ready().feed(Stalled{}).empty());  // too late
}

TEST_CASE("the grace begins when the commands that come first have ended") {
    // Guards: hooks and cmdStop have times of their own; the process keeps all of its grace.
    Machine m = Machine::ready();
    constexpr Duration commands{10'000};
    CHECK(m.feed(WantDown{grace, commands}) == "stopping(told_to_stop) term arm@12000");
    SUBCASE("they end early") {
        CHECK(m.at(Duration(500)).feed(GraceBegins{}) == "arm@2500");
        CHECK(m.feed(GraceBegins{}).empty());
        CHECK(m.at(Duration(2'500)).feed(TimerFired{}) == "kill arm@7500");
    }
    SUBCASE("they take all of their time") {
        CHECK(m.at(commands).feed(GraceBegins{}).empty());
        CHECK(m.at(Duration(12'000)).feed(TimerFired{}) == "kill arm@17000");
        CHECK(m.feed(GraceBegins{}).empty());  // killed: nothing is taken back
    }
    SUBCASE("a second wish shortens both") {
        CHECK(m.feed(WantDown{Duration(100), Duration(200)}) == "arm@300");
        CHECK(m.at(Duration(50)).feed(GraceBegins{}) == "arm@150");
    }
    SUBCASE("the end has times of its own") {
        CHECK(m.feed(CloseProcess{Duration(100), Duration(200)}) == "arm@300");
    }
    CHECK(m.feed(Exited{}).starts_with("cancel "));
    Machine closing = Machine::ready();
    CHECK(closing.feed(CloseProcess{grace, commands}) == "stopping(closing) term arm@12000");
    Machine starting;
    starting.feed(WantUp{load, grace, true, commands});
    starting.feed(Spawned{});
    CHECK(starting.feed(WantDown{grace}) == "stopping(told_to_stop) term arm@12000");
}

namespace {

/// The shell's side of the bargain: Spawn is answered once, then the process exits once; timers and
/// probes may be late, everything else may come at any time.
class RandomShell {
public:
    explicit RandomShell(unsigned seed) : random_(seed) {}

    void run(int events) {
        for (int i = 0; i < events; ++i) {
            now_ += Duration(draw(3'000));
            if (const auto event = next()) {
                feed(*event);
            }
        }
        feed(CloseProcess{grace});
        finish();
    }

private:
    int draw(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

    std::optional<ProcessEvent> next() {
        switch (draw(11)) {
            case 0:
            case 1:
                return WantUp{load, grace, draw(2) == 0, Duration(draw(2'000))};
            case 2:
                return WantDown{Duration(draw(3'000)), Duration(draw(2'000))};
            case 3:
                return spawning_ ? std::optional<ProcessEvent>(Spawned{}) : std::nullopt;
            case 4:
                return spawning_ && draw(2) == 0 ? std::optional<ProcessEvent>(SpawnFailed{})
                                                 : std::nullopt;
            case 5:
                return !spawning_ ? std::optional<ProcessEvent>(Healthy{}) : std::nullopt;
            case 6:
                return running_ ? std::optional<ProcessEvent>(Exited{draw(2) == 0}) : std::nullopt;
            case 7:
                return draw(4) == 0 || armed_ ? std::optional<ProcessEvent>(TimerFired{})
                                              : std::nullopt;
            case 8:
                return GraceBegins{};
            case 9:
                return draw(4) == 0 ? std::optional<ProcessEvent>(Stalled{}) : std::nullopt;
            default:
                return draw(10) == 0 ? std::optional<ProcessEvent>(CloseProcess{
                                           Duration(draw(3'000)), Duration(draw(2'000))})
                                     : std::nullopt;
        }
    }

    void feed(const ProcessEvent& event) {
        running_ = (running_ || std::holds_alternative<Spawned>(event)) &&
                   !std::holds_alternative<Exited>(event);
        spawning_ = spawning_ && !std::holds_alternative<Spawned>(event) &&
                    !std::holds_alternative<SpawnFailed>(event);
        if (std::holds_alternative<TimerFired>(event)) {
            armed_.reset();
        }
        ProcessState expected = fsm_.state();
        for (const ProcessCommand& command : fsm_.step(event, now_)) {
            carry_out(command, expected);
        }
        CHECK(expected == fsm_.state());  // every transition was announced
        fsm_.check_invariants();
        check_state();
    }

    void carry_out(const ProcessCommand& command, ProcessState& expected) {
        if (std::holds_alternative<Spawn>(command)) {
            CHECK_FALSE((spawning_ || running_));
            spawning_ = true;
        } else if (const auto* arm = std::get_if<ArmTimer>(&command)) {
            CHECK(arm->at >= now_);
            armed_ = arm->at;
        } else if (std::holds_alternative<CancelTimer>(command)) {
            armed_.reset();
        } else if (const auto* news = std::get_if<Announce>(&command)) {
            CHECK(news->from == expected);
            check_transition(*news);
            expected = news->to;
        }
    }

    /// The arrows of the drawing in docs/architecture.md, and no others.
    static void check_transition(const Announce& news) {
        using enum ProcessState;
        const auto goes = [&](ProcessState from, ProcessState to) {
            return news.from == from && news.to == to;
        };
        const bool known = goes(stopped, starting) || goes(failed, starting) ||
                           goes(starting, ready) || goes(starting, failed) ||
                           goes(starting, stopping) || goes(ready, stopping) ||
                           goes(ready, failed) || goes(stopping, stopped) ||
                           goes(stopping, failed) || goes(stopping, closed) ||
                           goes(failed, stopped) || goes(stopped, closed) || goes(failed, closed);
        CHECK_MESSAGE(known, process_state_name(news.from), " to ", process_state_name(news.to));
    }

    /// A live process always has a state that says so, and whatever waits has a timer.
    void check_state() const {
        const ProcessState state = fsm_.state();
        CHECK(is_at_rest(state) == !(spawning_ || running_));
        const bool timed = state == ProcessState::starting || state == ProcessState::stopping;
        CHECK_MESSAGE(timed == armed_.has_value(), process_state_name(state));
    }

    /// From wherever it is, letting its timer fire and its process end closes it.
    void finish() {
        for (int i = 0; i < 5 && fsm_.state() != ProcessState::closed; ++i) {
            if (spawning_) {
                feed(Spawned{});
            } else if (armed_ && i < 2) {
                now_ = std::max(now_, *armed_);
                feed(TimerFired{});
            } else {
                feed(Exited{});
            }
        }
        CHECK(fsm_.state() == ProcessState::closed);
    }

    std::mt19937 random_;
    ProcessFsm fsm_;
    TimePoint now_ = t0;
    bool spawning_ = false;
    bool running_ = false;
    std::optional<TimePoint> armed_;
};

}  // namespace

TEST_CASE("random events that can happen never reach an impossible state") {
    // Guards: whatever comes in whatever order, only the arrows of the drawing are taken, nothing
    // waits without a timer, no second process is started, and Close always leads to closed.
    for (unsigned seed = 0; seed < 5'000; ++seed) {
        CAPTURE(seed);
        RandomShell(seed).run(60);
    }
}
