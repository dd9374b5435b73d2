// config.example.yaml and docs/configuration.md: they load, and name every key that has an effect.
#include "core/file.hpp"
#include "core/load/keys.hpp"
#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

using namespace corral;

namespace {

std::string repository_file(const char* name) {
    const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
    auto text = read_text_file((root / name).string(), 1U << 20U);
    REQUIRE(text.has_value());
    return *text;
}

/// Calls `visit` with every key that works, containers included.
template <class Visit>
void for_working_keys(std::span<const load::Key> keys, const Visit& visit) {
    for (const auto& key : keys) {
        if (key.support == load::Support::works) {
            visit(std::string(key.name));
            for_working_keys(key.members, visit);
        }
    }
}

}  // namespace

TEST_CASE("the example config loads without a word") {
    // Guards: what a newcomer copies is right, and its limits are the defaults that it claims.
    const auto loaded = corral::test::load(repository_file("config.example.yaml"));
    CAPTURE(test::all_of(loaded));
    CHECK(loaded.diagnostics.empty());
    REQUIRE(loaded.config);
    CHECK(loaded.config->limits == Limits{});
    CHECK(loaded.config->models.size() == 2);
    CHECK(loaded.config->find("gpt-3.5-turbo")->ttl.count() == 3600);
    CHECK(loaded.config->start_port == Config{}.start_port);
}

TEST_CASE("example and documentation name every key that has an effect") {
    // Guards: a key that is added to the table is also shown and explained.
    const auto example = repository_file("config.example.yaml");
    const auto docs = repository_file("docs/configuration.md");
    for_working_keys(load::top_level_keys(), [&](const std::string& key) {
        CAPTURE(key);
        CHECK(example.find(key + ":") != std::string::npos);
        CHECK(docs.find("`" + key + "`") != std::string::npos);
    });
}

TEST_CASE("the documentation names the keys without an effect, too") {
    // Guards: whoever misses an effect finds the reason.
    const auto docs = repository_file("docs/configuration.md");
    for (const auto keys : {load::top_level_keys(), load::model_keys()}) {
        for (const auto& key : keys) {
            CAPTURE(std::string(key.name));
            CHECK(docs.find("`" + std::string(key.name) + "`") != std::string::npos);
        }
    }
}
