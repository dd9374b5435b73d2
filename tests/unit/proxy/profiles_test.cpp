// Profiles: which is active, and what /api/profiles says and takes.
#include "proxy/api/profiles.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::api;

namespace {

Config with_profiles(std::vector<std::string> names) {
    Config config;
    for (auto& name : names) {
        ProfileConfig profile;
        profile.name = std::move(name);
        profile.description = "about";
        profile.pins = {{"gpt-4", "a"}, {"off", ""}};
        config.profiles.push_back(std::move(profile));
    }
    return config;
}

}  // namespace

TEST_CASE("no profile is active until one is chosen, and an empty name ends it") {
    // Guards: a restart begins without a profile, as the peer's does.
    const auto config = with_profiles({"day", "night"});
    ActiveProfile active;
    CHECK(active.in(config) == nullptr);
    REQUIRE(active.choose(config, "night"));
    CHECK(active.in(config) == &config.profiles[1]);
    const auto unknown = active.choose(config, "noon");
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().is(Errc::not_found));
    CHECK(unknown.error().detail == "profile \"noon\" not found");
    CHECK(active.in(config) == &config.profiles[1]);
    REQUIRE(active.choose(config, ""));
    CHECK(active.in(config) == nullptr);
}

TEST_CASE("the active profile survives a reload that has it, and does not come back by itself") {
    // Guards: a reload neither drops a choice nor brings back one that had ended.
    const auto with = with_profiles({"day"});
    const auto without = with_profiles({"night"});
    ActiveProfile active;
    REQUIRE(active.choose(with, "day"));
    const auto reloaded = with_profiles({"day", "night"});
    active.follow(reloaded);
    CHECK(active.in(reloaded) == &reloaded.profiles[0]);
    active.follow(without);
    CHECK(active.in(without) == nullptr);
    active.follow(with);
    CHECK(active.in(with) == nullptr);
}

TEST_CASE("the documents are the peer's") {
    // Guards: scripts and pages that read /api/profiles.
    const auto config = with_profiles({"day"});
    CHECK(profiles_document(config, nullptr) ==
          R"({"active":null,"profiles":[{"id":"day","description":"about",)"
          R"("pins":{"gpt-4":"a","off":""}}]})");
    CHECK(profiles_document({}, nullptr) == R"({"active":null,"profiles":[]})");
    CHECK(active_document(&config.profiles[0]) == R"({"active":"day"})");
    CHECK(active_document(nullptr) == R"({"active":null})");
}

TEST_CASE("a choice is a string or null, and everything else is told why not") {
    // Guards: the peer's texts, which its page shows.
    struct Row {
        std::string body;
        std::string name;
        std::string refusal;
    };
    const std::vector<Row> rows{
        {R"({"name":"day"})", "day", ""},
        {R"({"name":null})", "", ""},
        {R"({"name":""})", "", ""},
        {R"({"name":"é","more":1})", "é", ""},
        {R"({"name":5})", "", "profile name must be a string or null"},
        {R"({"name":["day"]})", "", "profile name must be a string or null"},
        {R"({})", "", "profile name is required"},
        {R"(null)", "", "profile name is required"},
        {R"([])", "", "invalid profile request"},
        {R"("day")", "", "invalid profile request"},
        {R"({"name":)", "", "invalid profile request"},
        {"", "", "invalid profile request"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.body);
        const auto choice = read_profile_choice(row.body);
        CHECK(choice.has_value() == row.refusal.empty());
        if (choice) {
            CHECK(*choice == row.name);
        } else {
            CHECK(choice.error().detail == row.refusal);
            CHECK(choice.error().is(Errc::bad_request));
        }
    }
}
