// The documents that llama-swap's users read with scripts keep their shape.
#include "proxy/api/llama_swap.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using corral::Config;
using corral::ModelConfig;
using corral::ModelId;
using corral::ModelStatus;
using corral::ProcessState;
using nlohmann::json;

namespace {

Config two_models() {
    ModelConfig a;
    a.id = ModelId("a");
    a.aliases = {"gpt-4"};
    a.cmd = "server --port ${PORT} --api-key sk-secret --ctx 1";
    ModelConfig b;
    b.id = ModelId("b");
    b.unlisted = true;
    Config config;
    config.models = {a, b};
    return config;
}

ModelStatus running(const std::string& id, ProcessState state, std::uint16_t port) {
    ModelStatus status;
    status.id = ModelId(id);
    status.state = state;
    status.port = port;
    return status;
}

}  // namespace

TEST_CASE("the model list leaves out unlisted models and tells what is loaded") {
    const std::vector states{running("a", ProcessState::starting, 5800)};
    const auto list =
        json::parse(corral::api::models_list(two_models(), states, std::chrono::seconds(7)));
    REQUIRE(list.at("data").size() == 1);
    CHECK(list.at("object") == "list");
    const auto& record = list.at("data").at(0);
    CHECK(record.at("id") == "a");
    CHECK(record.at("object") == "model");
    CHECK(record.at("created") == 7);
    CHECK(record.at("status").at("value") == "loaded");
    CHECK(record.at("meta").at("llamaswap").at("aliases") == json::array({"gpt-4"}));
    CHECK_FALSE(record.contains("name"));
}

TEST_CASE("aliases are listed when the config says so, sorted with the ids") {
    auto config = two_models();
    config.include_aliases_in_list = true;
    const auto list = json::parse(corral::api::models_list(config, {}, std::chrono::seconds(0)));
    REQUIRE(list.at("data").size() == 2);
    CHECK(list.at("data").at(1).at("id") == "gpt-4");
    CHECK(list.at("data").at(1).at("meta").at("llamaswap").at("modelID") == "a");
    CHECK(list.at("data").at(0).at("status").at("value") == "unloaded");
}

TEST_CASE("running shows only processes that exist, with the real port and no secrets") {
    const std::vector states{running("a", ProcessState::ready, 5801),
                             running("b", ProcessState::stopped, 0)};
    const auto list = json::parse(corral::api::running_list(two_models(), states)).at("running");
    REQUIRE(list.size() == 1);
    CHECK(list.at(0).at("model") == "a");
    CHECK(list.at(0).at("state") == "ready");
    CHECK(list.at(0).at("proxy") == "http://localhost:5801");
    CHECK(list.at(0).at("cmd") == "server --port 5801 --api-key *** --ctx 1");
}

TEST_CASE("secrets are masked in both spellings of a flag and nothing else is") {
    CHECK(corral::api::masked_command("x --api-key=abc --hf-token  t") ==
          "x --api-key=*** --hf-token  ***");
    CHECK(corral::api::masked_command("x --api-key-file f") == "x --api-key-file f");
    CHECK(corral::api::masked_command("x --api-key") == "x --api-key");
}
