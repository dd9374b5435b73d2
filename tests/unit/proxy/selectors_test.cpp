// Which target a selector chooses, and what it counts. Reads like the contract's §2.8.
#include "proxy/api/selectors.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::api;

namespace {

using State = ProcessState;
using States = std::map<std::string, State>;

Config three_models() {
    Config config;
    for (const char* id : {"a", "b", "c"}) {
        config.models.emplace_back().id = ModelId(id);
    }
    config.models[1].aliases = {"b:alias"};
    config.peers.emplace_back().id = "p";
    config.peers[0].models = {"pm"};
    return config;
}

SelectorConfig selector(SelectorStrategy strategy, std::vector<std::string> targets,
                        std::int64_t spillover = 1) {
    SelectorConfig out;
    out.id = "sel";
    out.strategy = strategy;
    out.targets = std::move(targets);
    out.spillover = spillover;
    return out;
}

StateOf from(const States& states) {
    return [states](const ModelId& id) {
        const auto at = states.find(id.str());
        return at != states.end() ? at->second : State::stopped;
    };
}

std::string choose(const SelectorConfig& which, const States& states,
                   const SelectorLoads& loads = {}) {
    const auto chosen = choose_target(which, three_models(), from(states), loads);
    return chosen ? std::string(*chosen) : chosen.error().detail;
}

struct Row {
    States states;
    std::string chosen;
};

}  // namespace

TEST_CASE("warm takes the first ready target, else the first that starts, else the first") {
    // Guards: a request never waits for a cold model while a warm one could answer.
    const auto warm = selector(SelectorStrategy::warm, {"b:alias", "a", "c"});
    const std::vector<Row> rows{
        {{}, "b:alias"},
        {{{"a", State::ready}}, "a"},
        {{{"a", State::ready}, {"b", State::ready}}, "b:alias"},
        {{{"b", State::starting}, {"c", State::ready}}, "c"},
        {{{"c", State::starting}, {"a", State::starting}}, "a"},
        {{{"a", State::stopping}, {"c", State::failed}}, "b:alias"},
    };
    for (const auto& row : rows) {
        CHECK(choose(warm, row.states) == row.chosen);
    }
}

TEST_CASE("pin takes the first target whatever the others are") {
    // Guards: a pin is a pin.
    const auto pin = selector(SelectorStrategy::pin, {"b", "a"});
    CHECK(choose(pin, {{"a", State::ready}}) == "b");
    CHECK(choose(pin, {{"b", State::stopping}, {"a", State::ready}}) == "b");
}

TEST_CASE("spillover fills what runs, then starts the next, then spreads") {
    // Guards: no model is started before the running ones are full, and then one at a time.
    const auto spill = selector(SelectorStrategy::spillover, {"a", "b", "c"}, 2);
    SelectorLoads loads;
    CHECK(choose(spill, {}, loads) == "a");
    const auto first = loads.reserve("sel", "a");
    CHECK(choose(spill, {}, loads) == "a");  // reserved, so it is as good as started
    const auto second = loads.reserve("sel", "a");
    CHECK(choose(spill, {}, loads) == "b");
    CHECK(choose(spill, {{"c", State::ready}}, loads) == "c");
    const auto third = loads.reserve("sel", "b");
    CHECK(choose(spill, {{"a", State::ready}}, loads) == "b");
    const auto fourth = loads.reserve("sel", "b");
    CHECK(choose(spill, {{"a", State::ready}, {"b", State::ready}}, loads) == "c");
    CHECK(choose(spill, {{"c", State::stopping}}, loads) == "a");  // all full: the least busy
}

TEST_CASE("equally busy targets take turns") {
    // Guards: one target does not get all the work while the others idle.
    const auto spill = selector(SelectorStrategy::spillover, {"a", "b", "c"}, 5);
    const States all{{"a", State::ready}, {"b", State::ready}, {"c", State::ready}};
    SelectorLoads loads;
    std::string order;
    for (int i = 0; i < 7; ++i) {
        const auto chosen = choose(spill, all, loads);
        order += chosen;
        const auto reservation = loads.reserve("sel", chosen);  // ends at once
    }
    CHECK(order == "abcabca");
}

TEST_CASE("stopping targets are passed over, and with no other there is a 503") {
    // Guards: a request is not queued behind a model that is on its way out.
    const auto spill = selector(SelectorStrategy::spillover, {"a", "b"});
    CHECK(choose(spill, {{"a", State::stopping}}) == "b");
    const States both{{"a", State::stopping}, {"b", State::closed}};
    const auto none = choose_target(spill, three_models(), from(both), {});
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().is(Errc::overloaded));
    CHECK(none.error().detail == "selector \"sel\" has no available spillover targets");
}

TEST_CASE("another server's model is cold until a request is under way there") {
    // Guards: a spillover to a peer works although nobody knows the peer's state.
    const auto spill = selector(SelectorStrategy::spillover, {"a", "p/pm"});
    SelectorLoads loads;
    const auto local = loads.reserve("sel", "a");
    CHECK(choose(spill, {{"a", State::ready}}, loads) == "p/pm");
    const auto remote = loads.reserve("sel", "p/pm");
    const auto again = loads.reserve("sel", "p/pm");
    CHECK(choose(spill, {{"a", State::ready}}, loads) == "a");
}

TEST_CASE("a reservation ends once, wherever it was moved") {
    // Guards: a leaked count would make a target look busy for ever.
    SelectorLoads loads;
    {
        auto one = loads.reserve("sel", "a");
        const auto two = std::move(one);
        auto three = loads.reserve("sel", "a");
        CHECK(loads.of("sel", "a").requests == 2);
        CHECK(loads.of("other", "a").requests == 0);
        three = SelectorLoads::Reservation();
    }
    CHECK(loads.of("sel", "a").requests == 0);
}

TEST_CASE("a selector counts as loaded when a request would find a target loaded") {
    // Guards: the list does not call a pin loaded because of a target that it never takes.
    const auto config = three_models();
    const auto loaded = [&](SelectorStrategy strategy, const States& states) {
        return is_selector_loaded(selector(strategy, {"p/pm", "a"}), config, from(states)) ||
               is_selector_loaded(selector(strategy, {"b", "a"}), config, from(states));
    };
    CHECK(loaded(SelectorStrategy::warm, {{"a", State::starting}}));
    CHECK_FALSE(loaded(SelectorStrategy::warm, {{"a", State::stopping}}));
    CHECK_FALSE(loaded(SelectorStrategy::pin, {{"a", State::ready}}));
    CHECK(loaded(SelectorStrategy::pin, {{"b", State::ready}}));
}
