// The first thing that a person reads must be something to paste that works.
#include "app/welcome.hpp"

#include "core/command_line.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace {

corral::ModelConfig model(const std::string& id, std::vector<std::string> argv) {
    corral::ModelConfig out;
    out.id = corral::ModelId(id);
    out.argv = std::move(argv);
    return out;
}

}  // namespace

TEST_CASE("the curl line survives a shell and names a model that can chat") {
    corral::Config config;
    config.models = {model("a-embed", {"llama-server", "--embeddings"}),
                     model("it's \"odd\"", {"llama-server"})};
    const auto text = corral::welcome(config, "[::]:8091");
    const auto at = text.find("curl ");
    REQUIRE(at != std::string::npos);
    const auto words = corral::split_command_line(text.substr(at));
    REQUIRE(words.has_value());
    CHECK(words->at(1) == "http://127.0.0.1:8091/v1/chat/completions");
    CHECK(nlohmann::json::parse(words->back()).at("model") == "it's \"odd\"");
}

TEST_CASE("without a model that can chat it says what to do") {
    corral::Config config;
    config.models = {model("rank", {"llama-server", "--reranking"})};
    CHECK(corral::welcome(config, "127.0.0.1:1").find("corral scan") != std::string::npos);
}
