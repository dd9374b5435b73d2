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

TEST_CASE("the version is told in the peer's three fields") {
    // Guards: scripts that ask which program they talk to.
    const auto version = json::parse(corral::api::version_document());
    CHECK(version.size() == 3);
    for (const char* field : {"version", "commit", "build_date"}) {
        CHECK_FALSE(version.at(field).get<std::string>().empty());
    }
}
