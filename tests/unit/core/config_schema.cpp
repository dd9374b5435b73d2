// The table of keys against what is made of it: the shipped schema, the tables of the reference,
// and the defaults that the loader really uses.
#include "core/config_schema.hpp"

#include "core/config_reference.hpp"
#include "core/load/keys.hpp"
#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>

using namespace corral;
using load::Key;
using load::Shape;
using Json = nlohmann::json;

namespace {

constexpr std::string_view place = "(the default stands here)";

/// Small configs with an entry in everything that has names of the user's choice.
Json base(bool routing) {
    Json out = {{"models", {{"m", {{"cmd", "x ${PORT}"}}}, {"n", {{"cmd", "x ${PORT}"}}}}}};
    if (routing) {
        out["routing"]["router"]["settings"] = {
            {"groups", {{"g", {{"members", Json::array({"m"})}}}}},
            {"matrix", {{"sets", {{"s", "m"}}}}}};
        return out;
    }
    out["groups"]["g"]["members"] = Json::array({"m"});
    out["profiles"]["p"]["pins"]["x"] = "m";
    out["selectors"]["s"] = {{"strategy", "pin"}, {"targets", Json::array({"m"})}};
    out["peers"]["q"] = {{"proxy", "http://host"}, {"models", Json::array({"x"})}};
    return out;
}

std::string with_default(Json config, const Json::json_pointer& path, const Key& key) {
    const bool quoted = key.shape == Shape::text || key.shape == Shape::endpoint;
    config[path] = quoted ? key.preset : place;
    std::string text = config.dump();
    if (!quoted) {
        const std::string marker = "\"" + std::string(place) + "\"";
        text.replace(text.find(marker), marker.size(), key.preset);
    }
    return text;
}

struct Tried {
    std::size_t keys = 0;
};

/// Writes every default of these keys out, one after the other.
void try_defaults(const Json& config, const Json::json_pointer& above, std::span<const Key> keys,
                  Tried& tried) {
    const auto without = corral::test::load(config.dump());
    REQUIRE(without.config);
    for (const Key& key : keys) {
        const auto path = above / std::string(key.name);
        if (key.shape == Shape::mapping) {
            try_defaults(config, path, key.members(), tried);
        } else if (key.shape == Shape::named && config.contains(path)) {
            try_defaults(config, path / config[path].begin().key(), key.members(), tried);
        } else if (key.shape != Shape::named && !key.preset.empty() && !config.contains(path)) {
            const std::string text = with_default(config, path, key);
            CAPTURE(text);
            const auto with = corral::test::load(text);
            CAPTURE(test::all_of(with));
            REQUIRE(with.config);
            CHECK((*with.config == *without.config));
            ++tried.keys;
        }
    }
}

std::size_t count(const std::string& text, std::string_view what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
        ++n;
    }
    return n;
}

}  // namespace

TEST_CASE("the shipped schema is the one that the table gives") {
    // Guards: docs/config-schema.json. When it differs: corral schema --update-docs .
    CHECK((test::repository_file("docs/config-schema.json") == config_schema()));
}

TEST_CASE("the tables of the documentation are those that the table gives") {
    // Guards: docs/configuration.md. When it differs: corral schema --update-docs .
    const auto docs = test::repository_file("docs/configuration.md");
    const auto updated = with_key_tables(docs);
    REQUIRE(updated);
    CHECK((docs == *updated));
}

TEST_CASE("every default of the table is the one that the loader uses") {
    // Guards: schema, documentation and example do not tell of defaults that nobody has.
    Tried tried;
    for (const Key& key : load::top_level_keys()) {
        const bool routing = key.name == "routing";
        if (key.name != "matrix") {  // in the table once more below routing
            try_defaults(base(routing), Json::json_pointer(), {&key, 1}, tried);
        }
    }
    CHECK(tried.keys > 60);
}

TEST_CASE("a document without the right markers is refused") {
    // Guards: a slip in the document is told of; no table is lost.
    CHECK_FALSE(with_key_tables("nothing"));
    CHECK_FALSE(with_key_tables("<!-- keys: nonsense -->\n<!-- end of keys -->\n"));
    CHECK_FALSE(with_key_tables("<!-- keys: model -->\nno end"));
    auto docs = test::repository_file("docs/configuration.md");
    docs.replace(docs.find("<!-- keys: group -->"), 20, "<!-- keys: model -->");
    const auto lacking = with_key_tables(docs);
    REQUIRE_FALSE(lacking);
    CHECK(lacking.error().detail.find("\"group\"") != std::string::npos);
}

TEST_CASE("only what is between the markers changes") {
    // Guards: prose written by hand stays, whatever happens to the tables.
    const auto docs = test::repository_file("docs/configuration.md");
    const auto at = docs.find("| `swap` |");
    REQUIRE(at != std::string::npos);
    auto spoilt = docs;
    spoilt.replace(at, 10, "| `swop` |");
    spoilt += "more prose\n";
    const auto updated = with_key_tables(spoilt);
    REQUIRE(updated);
    CHECK((*updated == docs + "more prose\n"));
}

TEST_CASE("the table is written as its users need it") {
    // Guards: every key has a sentence that reads well in schema and tables, and words where they
    // are due; bounds are in order.
    std::size_t keys = 0;
    const auto visit = [&](const auto& self, std::span<const Key> level) -> void {
        for (const Key& key : level) {
            CAPTURE(key.name);
            ++keys;
            CHECK_FALSE(key.meaning.empty());
            CHECK_FALSE(key.meaning.ends_with('.'));
            CHECK(count(std::string(key.meaning), "`") % 2 == 0);
            CHECK(key.traits.least <= key.traits.most);
            const bool has_words = key.shape == Shape::word || key.shape == Shape::words;
            CHECK(has_words == !key.traits.words.empty());
            const bool has_members = key.shape == Shape::mapping || key.shape == Shape::named;
            CHECK(has_members == !key.members().empty());
            CHECK(load::find_key(level, key.name) == &key);
            self(self, key.members());
        }
    };
    visit(visit, load::top_level_keys());
    CHECK(keys > 100);
}
