// The model list keeps the shape that OpenAI's clients and llama-swap's users read.
#include "proxy/api/model_list.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <string>

using namespace corral;
using namespace corral::api;
using nlohmann::json;

namespace {

StateOf starting(const std::string& which) {
    return [which](const ModelId& id) {
        return id.str() == which ? ProcessState::starting : ProcessState::stopped;
    };
}

Config two_models() {
    Config config;
    config.models.resize(2);
    config.models[0].id = ModelId("a");
    config.models[0].aliases = {"gpt-4", "b"};  // an id wins over the second one
    config.models[1].id = ModelId("b");
    config.models[1].unlisted = true;
    return config;
}

json list(const Config& config, const ProfileConfig* profile = nullptr,
          const StateOf& state_of = starting("")) {
    return json::parse(models_list({config, profile, state_of, std::chrono::seconds(7)}));
}

json record(const Config& config, std::string_view name, const ProfileConfig* profile = nullptr) {
    const StateOf state_of = starting("");
    const auto text = model_record({config, profile, state_of, std::chrono::seconds(7)}, name);
    return text ? json::parse(*text) : json();
}

std::string ids(const json& document) {
    std::string out;
    for (const auto& each : document.at("data")) {
        out += each.at("id").get<std::string>() + " ";
    }
    return out;
}

}  // namespace

TEST_CASE("the list leaves out unlisted models and tells what is loaded") {
    // Guards: the record of a plain model, field by field.
    const auto document = list(two_models(), nullptr, starting("a"));
    CHECK(document == json::parse(R"({"object":"list","data":[{"id":"a","object":"model",
        "created":7,"owned_by":"corral","meta":{"llamaswap":{"type":"model",
        "aliases":["gpt-4","b"]}},"status":{"value":"loaded"}}]})"));
}

TEST_CASE("aliases are listed when the config says so, sorted with the ids") {
    // Guards: a client that shows only listed names finds the aliases, and each name once.
    auto config = two_models();
    config.include_aliases_in_list = true;
    config.models[1].unlisted = false;
    config.models[0].name = " A ";
    const auto document = list(config);
    CHECK(ids(document) == "a b gpt-4 ");
    const auto& alias = document.at("data").at(2);
    CHECK(alias.at("meta").at("llamaswap") == json::parse(R"({"type":"alias","modelID":"a"})"));
    CHECK(alias.at("name") == "A");
    CHECK(alias.at("status").at("value") == "unloaded");
}

TEST_CASE("capabilities become the fields that clients look for") {
    // Guards: pages that offer pictures or tools only where a model can take them.
    auto config = two_models();
    auto& can = config.models[0].capabilities;
    can.in = {"text", "image", "audio"};
    can.out = {"text", "audio", "image"};
    can.tools = can.reranker = true;
    can.context = 4096;
    config.models[0].metadata =
        R"({"z":1.0,"architecture":"x","context_length":1,"type":"mine","a":[1]})";
    const auto all = record(config, "a");
    CHECK(all.at("architecture") == json::parse(R"({"input_modalities":["text","image","audio"],
            "output_modalities":["text","audio","image"],
            "modality":"text+image+audio->text+audio+image"})"));
    CHECK(all.at("capabilities") ==
          json::parse(R"({"vision":true,"audio_transcriptions":true,"audio_speech":true,
            "image_generation":true,"image_to_image":true,"function_calling":true,
            "reranker":true})"));
    CHECK(all.at("supported_parameters") == json::array({"tools", "tool_choice"}));
    CHECK(all.at("context_length") == 4096);
    CHECK(all.at("meta").at("n_ctx") == 4096);
    CHECK(all.at("meta").at("llamaswap") ==
          json::parse(R"({"z":1.0,"a":[1],"type":"model","aliases":["gpt-4","b"]})"));
}

TEST_CASE("capabilities that are not said leave no trace, and metadata stays whole") {
    // Guards: an empty object would claim that the model can do nothing.
    auto config = two_models();
    config.models[0].metadata = R"({"architecture":"x"})";
    const auto none = record(config, "a");
    for (const char* field :
         {"architecture", "capabilities", "supported_parameters", "context_length"}) {
        CHECK_FALSE(none.contains(field));
    }
    CHECK(none.at("meta").at("llamaswap").at("architecture") == "x");
    CHECK_FALSE(none.at("meta").contains("n_ctx"));
    config.models[0].capabilities.in = {"image"};
    const auto one = record(config, "a");
    CHECK(one.at("architecture") == json::parse(R"({"input_modalities":["image"]})"));
    CHECK(one.at("capabilities") == json::parse(R"({"vision":true})"));
    CHECK_FALSE(one.at("meta").at("llamaswap").contains("architecture"));
}

TEST_CASE("peers, selectors and the active profile's pins are listed under their names") {
    // Guards: every name that a request may use can be found by a client.
    auto config = two_models();
    config.peers.resize(1);
    config.peers[0].id = "p1";
    config.peers[0].models = {"pm", "x/y"};
    config.selectors.resize(3);
    config.selectors[0].id = "hidden";
    config.selectors[0].targets = {"a"};
    config.selectors[0].unlisted = true;
    config.selectors[1].id = "sel";
    config.selectors[1].name = "Any";
    config.selectors[1].targets = {"b", "a"};
    config.selectors[1].metadata = R"({"note":"n","type":"mine"})";
    config.selectors[2].id = "spill";
    config.selectors[2].strategy = SelectorStrategy::spillover;
    config.selectors[2].targets = {"a", "p1/pm"};
    config.selectors[2].spillover = 3;
    ProfileConfig profile;
    profile.pins = {{"a", "b"}, {"new", "a"}, {"off", ""}, {"pm", "a"}, {"sel", "a"}};
    const auto document = list(config, &profile, starting("a"));
    CHECK(ids(document) == "a new p1/pm p1/x/y sel spill ");
    CHECK(ids(list(config)) == "a p1/pm p1/x/y sel spill ");
    const auto meta = [&](std::size_t at) {
        return document.at("data").at(at).at("meta").at("llamaswap");
    };
    CHECK(meta(1) == json::parse(R"({"type":"profile"})"));
    CHECK(meta(2) == json::parse(R"({"type":"peer","peerID":"p1"})"));
    CHECK(document.at("data").at(3).at("name") == "p1: x/y");
    CHECK(meta(4) ==
          json::parse(R"({"note":"n","type":"selector","strategy":"warm","targets":["b","a"]})"));
    CHECK(meta(5) == json::parse(R"({"type":"selector","strategy":"spillover",
        "targets":["a","p1/pm"],"spillover":3})"));
    CHECK(document.at("data").at(2).at("status").at("value") == "unloaded");
    CHECK(document.at("data").at(4).at("status").at("value") == "loaded");
    CHECK(document.at("data").at(4).at("name") == "Any");
    const std::map<std::string, std::string> types{
        {"a", "model"},    {"b", "model"}, {"gpt-4", "alias"}, {"hidden", "selector"},
        {"p1/pm", "peer"}, {"pm", "peer"}, {"new", "profile"}, {"sel", "selector"}};
    for (const auto& [name, type] : types) {
        CAPTURE(name);
        const auto one = record(config, name, &profile);
        REQUIRE_FALSE(one.is_null());
        CHECK(one.at("id") == name);
        CHECK(one.at("meta").at("llamaswap").at("type") == type);
    }
    CHECK(record(config, "new").is_null());
    CHECK(record(config, "off", &profile).is_null());
    CHECK(record(config, "nobody").is_null());
}

TEST_CASE("text that is not UTF-8 does not spoil the list") {
    // Guards: one odd description must not take the list away from everybody.
    auto config = two_models();
    config.models[0].description = "caf\xe9 \"quoted\"\n";
    CHECK(list(config).at("data").at(0).at("description") == "caf\xef\xbf\xbd \"quoted\"");
}
