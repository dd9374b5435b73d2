// core/config_load: the keys of a model that say how its process is kept, stopped and accompanied.
#include "core/config_load.hpp"
#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral;
using namespace corral::test;
using namespace std::chrono_literals;
using HookWords = std::vector<std::string>;

TEST_CASE("hooks, keepAlive and the times of a start and a stop mean what they say") {
    // Guards: spans with and without unit, macros of the process in hooks, commands without a
    // shell.
    const auto config = good(
        "limits: {maxWait: 5s}\nmodels:\n  a:\n    cmd: server --port ${PORT}\n"
        "    startStallTimeout: 90\n    cmdStopTimeout: 2s\n    keepAlive: always\n"
        "    hooks:\n      afterReady: curl 'http://x/${PORT}' ${MODEL_ID}\n"
        "      beforeStop: save ${PID}\n      timeout: 500ms\n"
        "  b:\n    cmd: server --port ${PORT}\n");
    CHECK(config.limits.max_wait == 5s);
    const auto& a = model(config, "a");
    CHECK(a.start_stall_timeout == 90s);
    CHECK(a.cmd_stop_timeout == 2s);
    CHECK(a.keep_alive);
    CHECK(a.hooks.after_ready == HookWords{"curl", "http://x/${PORT}", "a"});
    CHECK(a.hooks.before_stop == HookWords{"save", "${PID}"});
    CHECK(a.hooks.after_stop.empty());
    CHECK(a.hooks.timeout == 500ms);
    const auto& b = model(config, "b");
    CHECK(b.start_stall_timeout == 0s);
    CHECK_FALSE(b.keep_alive);
    CHECK(b.hooks == ModelHooks{});
}

TEST_CASE("the commands before the end of a process have a bound together") {
    // Guards: what a stop may take is known before it begins.
    ModelConfig model;
    model.unload_timeout = 7s;
    CHECK(model.stop_commands_timeout() == 0s);
    model.cmd_stop = {"stop"};
    CHECK(model.stop_commands_timeout() == 7s);
    model.cmd_stop_timeout = 2s;
    CHECK(model.stop_commands_timeout() == 2s);
    model.hooks.before_stop = {"save"};
    CHECK(model.stop_commands_timeout() == 12s);
}

TEST_CASE("what cannot be meant is said") {
    // Guards: a slip in a key of Corral's own is found when the file is loaded.
    const auto mistakes = [](const std::string& lines) {
        return load("models:\n  a:\n    cmd: x ${PORT}\n" + lines);
    };
    CHECK(warning_with(mistakes("    keepAlive: sometimes\n"), "onDemand is used"));
    CHECK(error_with(mistakes("    cmdStopTimeout: soon\n"), "cmdStopTimeout"));
    CHECK(error_with(mistakes("    hooks: {timeout: 0}\n"), "out of range"));
    CHECK(error_with(mistakes("    hooks: {afterReady: \"y ${NOPE}\"}\n"), "unknown macro"));
    CHECK(error_with(mistakes("    hooks: [x]\n"), "a mapping"));
    CHECK(warning_with(mistakes("    hooks: {afterReedy: x}\n"), "afterReady"));
}
