// What people are told: enough to act on, and never a secret.
#include "supervisor/fleet/failure_text.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace corral;
using namespace std::chrono_literals;

TEST_CASE("secrets are the API keys, secret-sounding env values, and values of such options") {
    ModelConfig model;
    model.env = {"HF_TOKEN=hf_abcdef", "CUDA_VISIBLE_DEVICES=0", "broken", "SECRET=ab"};
    model.argv = {"server", "--api-key", "sk-123456", "--hf-token=tok-999", "--key-file", "-x"};
    const auto secrets = secrets_of(model, {"corral-key"});
    const std::string text =
        hide_secrets("hf_abcdef sk-123456 tok-999 corral-key 0 ab -x server", secrets);
    CHECK(text == "[hidden] [hidden] [hidden] [hidden] 0 ab -x server");
}

TEST_CASE("a secret that contains another is hidden whole, and hiding always ends") {
    ModelConfig model;
    const auto secrets = secrets_of(model, {"abcd", "abcdef", "hidden"});
    CHECK(hide_secrets("abcdef", secrets) == "[hidden]");
    CHECK(hide_secrets("hidden abcd", secrets) == "[hidden] [hidden]");
    CHECK(hide_secrets("", secrets).empty());
    CHECK(hide_secrets("abc", {""}) == "abc");
}

TEST_CASE("an early death says how, when, its last words and what to do") {
    const auto text_of = [](const FailureFacts& facts, Duration after) {
        return died_early_text(ModelId("x"), *failure_of(facts), after);
    };
    const std::string text =
        text_of({FailedAt::loading, ExitStatus{false, 3}, "line one\nline two"}, Duration(120));
    CHECK(text.starts_with("model \"x\" could not be started: exit status 3 after 120 ms. "));
    CHECK(text.find("Last output:\nline one\nline two\n") != std::string::npos);
    CHECK(text.find("What to do:") != std::string::npos);
    const std::string silent = text_of({FailedAt::loading, ExitStatus{true, 6}, ""}, 65s);
    CHECK(silent.find("65.0 s") != std::string::npos);
    CHECK(silent.find("It printed nothing.") != std::string::npos);
}

TEST_CASE("what is known of the reason stands before how it ended") {
    // Guards: the first line that a user reads says what is wrong, not only a number.
    const auto failure =
        failure_of({FailedAt::loading, ExitStatus{false, 1}, "CUDA error: out of memory"});
    CHECK(failure->kind == FailureClass::out_of_memory);
    CHECK(failure->status == "exit status 1");
    CHECK(died_early_text(ModelId("x"), *failure, Duration(5))
              .starts_with("model \"x\" could not be started: it ran out of memory: exit status 1 "
                           "after 5 ms. "));
    CHECK(ending_text(*failure) ==
          "it ran out of memory: exit status 1; last output:\nCUDA error: out of memory");
    const auto stalled = failure_of({FailedAt::stall, std::nullopt, ""});
    CHECK(stalled_text(ModelId("x"), *stalled, 70s, 60s).find("for the last 60.0 s") !=
          std::string::npos);
    const auto launch = failure_of({FailedAt::launch, std::nullopt, "No such file or directory"});
    CHECK(launch->kind == FailureClass::file_missing);
    CHECK(launch->last_lines.empty());
}

TEST_CASE("a model name cannot break the line it stands in") {
    const auto failure = failure_of({FailedAt::launch, std::nullopt, "why"});
    const std::string text = not_launched_text(ModelId("a\nb"), *failure, "why");
    CHECK(text.find('\n') == std::string::npos);
    CHECK(ending_text(*failure_of({FailedAt::serving, ExitStatus{false, 0}, ""})) ==
          "exit status 0; it printed nothing");
}
