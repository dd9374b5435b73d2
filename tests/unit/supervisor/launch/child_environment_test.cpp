// The environment of a child as a list of words.

#include "supervisor/launch/child_environment.hpp"

#include <doctest/doctest.h>

using namespace corral;

TEST_CASE("a child's environment has each name once, the model's value before Corral's") {
    const char* const own[] = {"A=1",
                               "B=2",
                               "LISTEN_PID=1",
                               "WATCHDOG_PID=1",
                               "NOTIFY_SOCKET=x",
                               "CORRAL_KEY=k",
                               "LISTENER=stays",
                               "noequals",
                               "=nameless",
                               nullptr};
    const auto environment =
        child_environment(own, {"B=3", "B=4", "C=", "CORRAL_MODEL_RUN=forged"}, "token");
    CHECK(environment ==
          std::vector<std::string>{"A=1", "LISTENER=stays", "B=4", "C=", "CORRAL_MODEL_RUN=token"});
    CHECK(environment_value(environment, "B") == "4");
    CHECK(environment_value(environment, "C").empty());
    CHECK(environment_value(environment, "D").empty());
}

TEST_CASE("a variable that carries a key of Corral's is not inherited") {
    // Guards: the config takes its keys from variables of any name; a model must not find them.
    const char* const own[] = {"MY_KEY=sk-canary-0123",
                               "BOTH=a,sk-canary-0123",
                               "SHORT=word",
                               "TEXT=some words",
                               "EMPTY=",
                               nullptr};
    const auto environment =
        child_environment(own, {"GIVEN=sk-canary-0123"}, "token", {"sk-canary-0123", "word", ""});
    CHECK(environment == std::vector<std::string>{"TEXT=some words",
                                                  "EMPTY=", "GIVEN=sk-canary-0123",
                                                  "CORRAL_MODEL_RUN=token"});
}

TEST_CASE("a program that is nowhere on PATH is not found, whatever cannot be looked into") {
    const auto missing = find_program("no-such-program", "/root/private:/proc/1/fd:/nowhere::");
    REQUIRE(!missing);
    CHECK(missing.error().detail.find("not on PATH") != std::string::npos);
    CHECK(find_program("sh", "/nowhere:/bin").value() == "/bin/sh");
    CHECK(find_program("sh", "").value().ends_with("/sh"));
    CHECK(find_program("/bin/sh", "/nowhere").value() == "/bin/sh");
    const auto device = find_program("null", "/dev");
    REQUIRE(!device);
    CHECK(device.error().detail.find("Permission denied") != std::string::npos);
}

TEST_CASE("an error names the program made safe for a log, whatever its name is") {
    const auto error = start_error("x\n\x1b[31m", ENOENT, false);
    CHECK(error.detail.find('\n') == std::string::npos);
    CHECK(error.detail.find('\x1b') == std::string::npos);
    CHECK(error.blame == Blame::upstream);
}
