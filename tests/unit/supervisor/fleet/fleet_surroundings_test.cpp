// Who else answers at a model's address, and the GPU memory that comes back after its end.
#include "fakes.hpp"

#include <doctest/doctest.h>

using namespace corral;
using namespace corral::test;
using std::chrono_literals::operator""s;

namespace {

constexpr std::uint64_t gib = 1ULL << 30U;

Listener stale_server() {
    return {ListenerOwner::foreign, 77, "old-server"};
}

std::shared_ptr<const Config> one_at_a_time() {
    auto config = config_of({model("a"), model("b")});
    config->groups = {{"g", true, true, false, {ModelId("a"), ModelId("b")}}};
    return config;
}

}  // namespace

TEST_CASE("a model whose port somebody else holds is not ready, and says who it is") {
    // Guards: a stale server never answers for another model, whatever it answers.
    ModelConfig a = model("a");
    a.argv = {"server"};
    a.proxy = "http://127.0.0.1:9999";
    Stage s(config_of({a}));
    s.launcher.on_launch = [](FakeProcess& process) { process.listener = stale_server(); };
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return got->result.has_value(); }));
    CHECK(got->refused(Errc::start_failed));
    CHECK(got->detail().find("port 9999 is held by process 77 (old-server)") != std::string::npos);
    CHECK(got->result->error().failure->kind == FailureClass::port_in_use);
    CHECK(s.last().killed);
    CHECK(s.launcher.processes.size() == 1);
    s.launcher.on_launch = nullptr;
    CHECK(s.lease("a")->granted());
}

TEST_CASE("a model on a Unix socket finds its place free, or learns who has it") {
    // Guards: a dead server's socket is in nobody's way, and a living one answers for no model.
    ModelConfig a = model("a");
    a.argv = {"server"};
    a.proxy = "unix:///run/engine.sock";
    Stage s(config_of({a}));
    s.launcher.on_launch = [&](FakeProcess&) { CHECK(s.launcher.cleared.size() == 1); };
    s.lease("a")->result.reset();
    CHECK(s.launcher.cleared == std::vector<std::string>{"/run/engine.sock"});
    s.last().exit({true, 9});
    REQUIRE(s.until([&] { return s.state("a") == ProcessState::failed; }));
    s.launcher.on_launch = [](FakeProcess& process) { process.listener = stale_server(); };
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return got->result.has_value(); }));
    CHECK(got->detail().find("the socket /run/engine.sock is held by process 77 (old-server)") !=
          std::string::npos);
}

TEST_CASE("a model whose chosen port somebody else got is started on another one") {
    // Guards: a race for a port that Corral chose costs a retry, not the start.
    Stage s(config_of({model("a")}));
    s.launcher.on_launch = [](FakeProcess& process) { process.listener = stale_server(); };
    const auto got = s.acquire("a");
    REQUIRE(s.until([&] { return s.launcher.processes.size() == 1; }));
    s.launcher.on_launch = nullptr;
    REQUIRE(s.until([&] { return got->result.has_value(); }));
    CHECK(got->granted());
    CHECK(s.launcher.processes.size() == 2);
    CHECK(s.launcher.asked_ports.back() == 0);
}

TEST_CASE("an owner that is ours or out of sight is accepted, elsewhere nobody looks") {
    // Guards: containers, tunnels and other machines are never our descendants.
    for (const auto owner : {ListenerOwner::ours, ListenerOwner::unknown}) {
        Stage s(config_of({model("a")}));
        s.launcher.on_launch = [&](FakeProcess& process) { process.listener = {owner}; };
        CHECK(s.lease("a")->granted());
    }
    ModelConfig far = model("far");
    far.argv = {"ssh", "far", "server"};
    far.proxy = "http://192.0.2.1:9999";
    Stage s(config_of({far}));
    s.launcher.on_launch = [](FakeProcess& process) { process.listener = stale_server(); };
    CHECK(s.lease("far")->granted());
}

TEST_CASE("the next model starts when the GPU memory of the last is back") {
    // Guards: no model is started into a GPU whose driver still holds the last one's memory.
    Stage s(one_at_a_time());
    s.launcher.gpu_memory = 2 * gib;
    s.launcher.on_launch = [&](FakeProcess&) { *s.launcher.gpu_memory += 8 * gib; };
    const auto a = s.lease("a");
    REQUIRE(a->granted());
    a->result.reset();
    const auto b = s.acquire("b");
    REQUIRE(s.until([&] { return s.process(0).status.has_value(); }));
    CHECK(s.state("a") == ProcessState::stopping);
    CHECK(s.launcher.processes.size() == 1);
    s.launcher.gpu_memory = 3 * gib;
    REQUIRE(s.until([&] { return b->granted(); }));
    CHECK(s.launcher.processes.size() == 2);
}

TEST_CASE("GPU memory that never comes back is waited for only so long") {
    // Guards: the wait ends, whoever fills the GPU meanwhile.
    Stage s(one_at_a_time());
    s.launcher.gpu_memory = 2 * gib;
    s.launcher.on_launch = [&](FakeProcess&) { *s.launcher.gpu_memory += 8 * gib; };
    const auto a = s.lease("a");
    REQUIRE(a->granted());
    a->result.reset();
    const auto b = s.acquire("b");
    REQUIRE(s.until([&] { return b->result.has_value(); }));
    CHECK(b->granted());
}
