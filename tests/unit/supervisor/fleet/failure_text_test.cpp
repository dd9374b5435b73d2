// What people are told: enough to act on, and never a secret.
#include "supervisor/fleet/failure_text.hpp"

#include <doctest/doctest.h>

using namespace corral;

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

TEST_CASE("the usual words for a port that is in use are understood") {
    CHECK(says_port_is_taken("bind(): Address already in use"));
    CHECK(says_port_is_taken("OSError: [Errno 98] EADDRINUSE"));
    CHECK(says_port_is_taken("start: couldn't bind HTTP server socket, port: 8080"));
    CHECK_FALSE(says_port_is_taken("address not mapped"));
    CHECK_FALSE(says_port_is_taken(""));
}

TEST_CASE("an early death says how, when, its last words and what to do") {
    const std::string text =
        died_early_text(ModelId("x"), {false, 3}, Duration(120), "line one\nline two");
    CHECK(text.starts_with("model \"x\" could not be started: exit status 3 after 120 ms. "));
    CHECK(text.find("Last output:\nline one\nline two\n") != std::string::npos);
    CHECK(text.find("What to do:") != std::string::npos);
    CHECK(died_early_text(ModelId("x"), {true, 9}, Duration(65'000), "").find("65.0 s") !=
          std::string::npos);
    CHECK(died_early_text(ModelId("x"), {}, Duration(1), "").find("It printed nothing.") !=
          std::string::npos);
}

TEST_CASE("a model name cannot break the line it stands in") {
    const std::string text = not_launched_text(ModelId("a\nb"), "why");
    CHECK(text.find('\n') == std::string::npos);
    CHECK(ending_text({false, 0}, "") == "exit status 0; it printed nothing");
}
