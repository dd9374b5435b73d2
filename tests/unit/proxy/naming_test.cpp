// What a name means: profile, selector, model, peer, in this order.
#include "proxy/http/naming.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

using namespace corral;
using namespace corral::http;

namespace {

Config everything() {
    Config config;
    for (const char* id : {"a", "b", "both", "org", "org/model"}) {
        config.models.emplace_back().id = ModelId(id);
    }
    config.models[0].aliases = {"gpt-4", "a:high"};
    config.peers.resize(2);
    config.peers[0].id = "p1";
    config.peers[0].models = {"pm", "x/y", "both", "shared"};
    config.peers[1].id = "p2";
    config.peers[1].models = {"shared"};
    const auto add = [&](const char* id, SelectorStrategy strategy,
                         std::vector<std::string> targets) {
        auto& selector = config.selectors.emplace_back();
        selector.id = id;
        selector.strategy = strategy;
        selector.targets = std::move(targets);
    };
    add("first", SelectorStrategy::pin, {"a:high", "b"});
    add("remote", SelectorStrategy::pin, {"p1/pm"});
    add("sel", SelectorStrategy::warm, {"b", "a"});
    config.profiles.resize(1);
    config.profiles[0].name = "day";
    config.profiles[0].pins = {{"a", "b"},        {"b", "org/model"}, {"chain", "a"},
                               {"deep/pin", "b"}, {"gone", "nobody"}, {"my-sel", "sel"},
                               {"off", ""},       {"peer", "p1/x/y"}, {"deep", "org"}};
    return config;
}

ProcessState state_of_a(const ModelId& id) {
    return id.str() == "a" ? ProcessState::ready : ProcessState::stopped;
}

/// Who serves the name, as one text: "model a as a:high", "peer p1 pm", or the error's name.
std::string served(const Result<Destination>& found) {
    if (!found) {
        return std::string(errc_name(static_cast<Errc>(found.error().code.value())));
    }
    const std::string by = found->selector != nullptr ? " by " + found->selector->id : "";
    if (found->model != nullptr) {
        CHECK(found->sent_name == found->name);
        return found->model->id.str() + " as " + found->name + by;
    }
    return "peer " + found->peer->id + " as " + found->sent_name + by;
}

std::string meaning(std::string_view name, bool with_profile) {
    const auto config = everything();
    const api::StateOf state_of = state_of_a;
    const api::SelectorLoads loads;
    const Directory directory{config, with_profile ? &config.profiles[0] : nullptr, state_of,
                              loads};
    return served(find_destination(name, directory));
}

struct Row {
    std::string_view name;
    std::string plain;    ///< without a profile
    std::string profile;  ///< while `day` is active
};

}  // namespace

TEST_CASE("a name goes through profile, selector, model and peer, each once") {
    // Guards: the order in which names are looked up, which decides who gets a request.
    const std::vector<Row> rows{
        {"a", "a as a", "b as b"},              // a pin goes before the model, and is not chained
        {"gpt-4", "a as gpt-4", "a as gpt-4"},  // an alias is not the pinned name
        {"chain", "model_not_found", "a as a"},
        {"sel", "a as a by sel", "a as a by sel"},
        {"my-sel", "model_not_found", "a as a by sel"},
        {"first", "a as a:high by first", "a as a:high by first"},
        {"remote", "peer p1 as pm by remote", "peer p1 as pm by remote"},
        {"org/model", "org/model as org/model", "org/model as org/model"},
        {"p1/pm", "peer p1 as pm", "peer p1 as pm"},
        {"pm", "peer p1 as pm", "peer p1 as pm"},
        {"p1/x/y", "peer p1 as x/y", "peer p1 as x/y"},
        {"both", "both as both", "both as both"},  // ours goes before a peer's
        {"p1/both", "peer p1 as both", "peer p1 as both"},
        {"shared", "model_not_found", "model_not_found"},  // two peers have it
        {"p2/shared", "peer p2 as shared", "peer p2 as shared"},
        {"peer", "model_not_found", "peer p1 as x/y"},
        {"off", "model_not_found", "model_missing"},
        {"gone", "model_not_found", "model_not_found"},
        {"", "model_not_found", "model_not_found"},
        {"A", "model_not_found", "model_not_found"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        CHECK(meaning(row.name, false) == row.plain);
        CHECK(meaning(row.name, true) == row.profile);
    }
}

TEST_CASE("below /upstream the longest name counts, pins do, selectors do not") {
    // Guards: which model a path is for, and what is left of the path.
    struct Path {
        std::string_view target;
        std::string plain;
        std::string profile;
        std::string remainder;  ///< while `day` is active
    };
    const std::vector<Path> rows{
        {"/upstream/a/foo%2Fbar", "a as a", "b as b", "/foo%2Fbar"},
        {"/upstream/org/model/q", "org/model as org/model", "org/model as org/model", "/q"},
        {"/upstream/org/other", "org as org", "org as org", "/other"},
        {"/upstream/gpt-4/", "a as gpt-4", "a as gpt-4", "/"},
        {"/upstream/sel/x", "model_not_found", "model_not_found", ""},
        {"/upstream/my-sel/x", "model_not_found", "model_not_found", ""},
        {"/upstream/p1/pm/x", "peer p1 as pm", "peer p1 as pm", "/x"},
        {"/upstream/pm/x", "peer p1 as pm", "peer p1 as pm", "/x"},
        {"/upstream/p1/x/y/z", "peer p1 as x/y", "peer p1 as x/y", "/z"},
        {"/upstream/peer/z", "model_not_found", "peer p1 as x/y", "/z"},
        {"/upstream/deep/pin/z", "model_not_found", "b as b", "/z"},
        {"/upstream/deep/z", "model_not_found", "org as org", "/z"},
        {"/upstream/off/x", "model_not_found", "model_not_found", ""},
        {"/upstream/nobody/x", "model_not_found", "model_not_found", ""},
    };
    const auto config = everything();
    const auto find = [&](std::string_view path, const ProfileConfig* profile) {
        return find_upstream_destination(parse_target(path).value(), config, profile);
    };
    const auto who = [](const Result<UpstreamDestination>& found) {
        return found ? served(found->to) : served(found.error());
    };
    for (const auto& row : rows) {
        CAPTURE(row.target);
        CHECK(who(find(row.target, nullptr)) == row.plain);
        const auto pinned = find(row.target, &config.profiles[0]);
        CHECK(who(pinned) == row.profile);
        if (pinned) {
            CHECK(pinned->target.remainder == row.remainder);
        }
    }
}

TEST_CASE("a full spillover with no target left is an error of the service, not of the name") {
    // Guards: a client may try again after a 503, but not after a 404.
    auto config = everything();
    config.selectors[2].strategy = SelectorStrategy::spillover;
    const api::StateOf stopping = [](const ModelId&) { return ProcessState::stopping; };
    const api::SelectorLoads loads;
    const auto found = find_destination("sel", {config, nullptr, stopping, loads});
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().is(Errc::overloaded));
}
