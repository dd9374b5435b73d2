// config.example.yaml: it loads, shows every key of the table, and its defaults are the real ones.
// A "#" that no blank follows takes a line out; the rest of the comments is prose.
#include "core/load/keys.hpp"
#include "core/load/yaml_tree.hpp"
#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

using namespace corral;
using load::Key;
using load::Node;

namespace {

constexpr std::string_view older_places = "# Older places of llama-swap's";

/// The text with the lines that were taken out put back in.
std::string uncommented(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        const auto first = line.find_first_not_of(' ');
        const bool taken_out = first != std::string_view::npos && line[first] == '#' &&
                               first + 1 < line.size() && line[first + 1] != ' ' &&
                               line[first + 1] != '#';
        out += taken_out ? std::string(line.substr(0, first)) + std::string(line.substr(first + 1))
                         : std::string(line);
        out += '\n';
        at = end + 1;
    }
    return out;
}

load::Tree parse(const std::string& text) {
    load::Report report(text, "t.yaml");
    auto tree = load::parse_yaml(
        text, [](const std::string&) { return std::nullopt; }, report);
    REQUIRE(tree);
    REQUIRE_FALSE(report.failed());
    return std::move(*tree);
}

bool equal(const Node& a, const Node& b) {
    return a.kind == b.kind && a.text == b.text &&
           std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                      [](const Node* x, const Node* y) { return equal(*x, *y); });
}

/// What the example says of a key.
struct Shown {
    bool preset = false;  ///< somewhere with its default
};

/// Keys are told apart by their address: what several mappings share need be shown once only.
using ShownKeys = std::map<const Key*, Shown>;

void look(const Node& map, std::span<const Key> keys, ShownKeys& shown) {
    for (const load::Entry& entry : map.entries) {
        const Key* key = load::find_key(keys, entry.key->text);
        REQUIRE_MESSAGE(key != nullptr, entry.key->text);
        Shown& here = shown[key];
        if (key->shape == load::Shape::mapping) {
            look(*entry.value, key->members(), shown);
        } else if (key->shape == load::Shape::named) {
            for (const load::Entry& named : entry.value->entries) {
                look(*named.value, key->members(), shown);
            }
        } else if (!key->preset.empty()) {
            const auto preset = parse("k: " + std::string(key->preset));
            here.preset = here.preset || equal(*entry.value, *preset.root->find("k"));
        }
    }
}

/// Calls `visit` with every key of the table and its path.
template <class Visit>
void for_all_keys(std::span<const Key> keys, const std::string& prefix, const Visit& visit) {
    for (const Key& key : keys) {
        visit(key, prefix + std::string(key.name));
        for_all_keys(key.members(), prefix + std::string(key.name) + ".", visit);
    }
}

}  // namespace

TEST_CASE("the example config loads without a word") {
    // Guards: what a newcomer copies is right, and its limits are the defaults that it claims.
    const auto loaded = corral::test::load(test::repository_file("config.example.yaml"));
    CAPTURE(test::all_of(loaded));
    CHECK(loaded.diagnostics.empty());
    REQUIRE(loaded.config);
    CHECK(loaded.config->limits == Limits{});
    CHECK(loaded.config->models.size() == 2);
    CHECK(loaded.config->find("gpt-3.5-turbo")->ttl.count() == 3600);
    CHECK(loaded.config->start_port == Config{}.start_port);
}

TEST_CASE("the example config loads with all that is taken out in it put back") {
    // Guards: a line that somebody takes the "#" from is valid YAML and a valid setting.
    const auto example = test::repository_file("config.example.yaml");
    const auto older = example.find(older_places);
    REQUIRE(older != std::string::npos);
    const auto loaded = corral::test::load(uncommented(example.substr(0, older)));
    CAPTURE(test::all_of(loaded));
    REQUIRE(loaded.config);
    CHECK(std::none_of(loaded.diagnostics.begin(), loaded.diagnostics.end(),
                       [](const Diagnostic& d) { return d.severity != Severity::note; }));
}

TEST_CASE("the example config shows every key, and each default once at least") {
    // Guards: a key that is added to the table is shown, and nobody is told a wrong default.
    const std::string text = uncommented(test::repository_file("config.example.yaml"));
    const auto tree = parse(text);
    ShownKeys shown;
    look(*tree.root, load::top_level_keys(), shown);
    for_all_keys(load::top_level_keys(), "", [&](const Key& key, const std::string& path) {
        CAPTURE(path);
        const auto at = shown.find(&key);
        REQUIRE(at != shown.end());
        const bool has_value = !key.preset.empty() && key.preset != "{}" && key.preset != "[]";
        CHECK((!has_value || at->second.preset));
    });
}

TEST_CASE("the example config names its schema where editors look") {
    // Guards: the first line leads to the schema, in the repository and where it is installed.
    CHECK(test::repository_file("config.example.yaml")
              .starts_with("# yaml-language-server: $schema=docs/config-schema.json\n"));
}
