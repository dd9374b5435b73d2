// core/load/merge_trees and load_config() of several files: what may stand in two files, what may
// not, and that every message names its own file.
#include "core/load/merge_trees.hpp"

#include "../load_support.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::load;
using corral::test::all_of;
using corral::test::error_with;
using corral::test::warning_with;

namespace {

/// What the files a.yaml, b.yaml, … are together.
struct Merged {
    std::vector<std::string> texts;
    std::optional<Tree> tree;
    std::vector<Diagnostic> diagnostics;

    /// The tree in one line, like JSON without quotes.
    [[nodiscard]] std::string shown() const { return tree ? shown(*tree->root) : "(none)"; }
    [[nodiscard]] std::string messages() const {
        std::string out;
        for (const auto& d : diagnostics) {
            out += format_diagnostic(d, false) + "\n";
        }
        return out;
    }
    [[nodiscard]] bool says(std::string_view what) const {
        return messages().find(what) != std::string::npos;
    }

private:
    static std::string shown(const Node& node) {
        std::string out;
        for (const Node* item : node.items) {
            out += (out.empty() ? "" : ", ") + shown(*item);
        }
        for (const Entry& entry : node.entries) {
            out += (out.empty() ? "" : ", ") + entry.key->text + ": " + shown(*entry.value);
        }
        return node.is_map()        ? "{" + out + "}"
               : node.is_sequence() ? "[" + out + "]"
               : node.is_null()     ? "~"
                                    : node.text;
    }
};

Merged merge(std::vector<std::string> texts, const TreeLimits& limits = {}) {
    Merged out{std::move(texts), std::nullopt, {}};
    Report report;
    for (std::size_t i = 0; i < out.texts.size(); ++i) {
        report.add_file(out.texts[i], std::string(1, static_cast<char>('a' + i)) + ".yaml");
    }
    std::vector<Tree> trees;
    TreeCost spent;
    int file = 0;
    for (const auto& text : out.texts) {
        if (auto tree = parse_yaml(text, {}, report, limits, file++, spent)) {
            trees.push_back(std::move(*tree));
        }
    }
    if (trees.size() == out.texts.size()) {
        out.tree = merge_trees(std::move(trees), report);
    }
    out.diagnostics = report.take();
    return out;
}

ConfigLoad load_files(std::vector<std::string> texts, const test::Variables& variables = {}) {
    std::vector<ConfigText> files;
    for (auto& text : texts) {
        files.push_back({std::string(1, static_cast<char>('a' + files.size())) + ".yaml", text});
    }
    return load_config(files, [variables](const std::string& name) -> std::optional<std::string> {
        const auto at = variables.find(name);
        return at != variables.end() ? std::optional(at->second) : std::nullopt;
    });
}

}  // namespace

TEST_CASE("what may stand in several files") {
    // Guards the peer's rules: mappings merge, lists are joined, equal scalars are fine, null
    // yields, things with names are put side by side; order is that of the files.
    const struct {
        std::vector<std::string> texts;
        const char* shown;
    } rows[] = {
        {{"", ""}, "~"},
        {{"# only a comment", "a: 1"}, "{a: 1}"},
        {{"a: 1", ""}, "{a: 1}"},
        {{"a: 1", "b: 2", "c: 3"}, "{a: 1, b: 2, c: 3}"},
        {{"x: {a: 1}", "x: {b: {c: 2}}", "x: {b: {d: 3}}"}, "{x: {a: 1, b: {c: 2, d: 3}}}"},
        {{"macros: {z: 1, a: 2}", "macros: {m: 3, a: 2}"}, "{macros: {z: 1, a: 2, m: 3}}"},
        {{"l: [1, 2]", "l: [2, 3]", "l: [[4]]"}, "{l: [1, 2, 2, 3, [4]]}"},
        {{"a: 1", "a: 1"}, "{a: 1}"},
        {{"a: x", "a: \"x\""}, "{a: x}"},
        {{"a:", "a: 1"}, "{a: 1}"},
        {{"a: ~", "a: [1]", "a:"}, "{a: [1]}"},
        {{"a: {b: 1}", "a:"}, "{a: {b: 1}}"},
        {{"a:", "a: ~"}, "{a: ~}"},
        {{"models:", "models: {m: {}}"}, "{models: {m: {}}}"},
        {{"models: {m: {}}", "models: {n: {}, l: {}}"}, "{models: {m: {}, n: {}, l: {}}}"},
        {{"x: &x {a: 1}\ny: *x", "x: {b: 2}"}, "{x: {a: 1, b: 2}, y: {a: 1}}"},
        {{"x: &x {a: 1}", "y: &x {a: 2}\nz: {<<: *x}"}, "{x: {a: 1}, y: {a: 2}, z: {a: 2}}"},
        {{"x-models: {m: 1}", "x-models: {m: 1}"}, "{x-models: {m: 1}}"},
    };
    for (const auto& row : rows) {
        const auto merged = merge(row.texts);
        CAPTURE(merged.messages());
        CHECK(merged.shown() == row.shown);
        CHECK(merged.diagnostics.empty());
    }
}

TEST_CASE("two files that say different things are a conflict at both places") {
    // Guards: nothing is overwritten in silence; the message has the peer's words, the path, the
    // file that came later, and the place of the earlier one.
    const struct {
        std::vector<std::string> texts;
        const char* says;
    } rows[] = {
        {{"a: 1", "b: 2", "x: 1\na: 2"},
         "c.yaml:2:4: error: conflict at \"a\": c.yaml sets a different value than a previous "
         "source\n    2 | a: 2\n      |    ^\n      = the other one is at a.yaml:1:4"},
        {{"a: {b: {c: 1}}", "a: {b: {c: 2}}"}, "b.yaml:1:12: error: conflict at \"a.b.c\": b.yaml"},
        {{"a: 1", "a: \"1\""}, "conflict at \"a\""},
        {{"a: 1", "a: 01"}, "conflict at \"a\""},
        {{"a: {}", "a: []"},
         "b.yaml:1:4: error: conflict at \"a\": incompatible YAML node kinds (mapping vs list) "
         "introduced by b.yaml"},
        {{"a:", "a: x", "a: {b: 1}"},
         "c.yaml:1:4: error: conflict at \"a\": incompatible YAML "
         "node kinds (scalar vs mapping) introduced by c.yaml"},
        {{"models: {x: {}}", "models: {y: {}, x: {}}"},
         "b.yaml:1:17: error: duplicate models \"x\" found in b.yaml (already defined in another "
         "config source)\n    1 | models: {y: {}, x: {}}\n      |                 ^\n"
         "      = the other one is at a.yaml:1:10"},
        {{"models: {x: {}}", "models: {x: }"}, "duplicate models \"x\" found in b.yaml"},
        {{"groups: {x: {}}", "groups: {x: {}}"}, "duplicate groups \"x\""},
        {{"profiles: {x: {}}", "profiles: {x: {}}"}, "duplicate profiles \"x\""},
        {{"selectors: {x: {}}", "selectors: {x: {}}"}, "duplicate selectors \"x\""},
        {{"peers: {x: {}}", "peers: {x: {}}"}, "duplicate peers \"x\""},
        {{"matrix: {vars: {a: b}}", "matrix: {vars: {c: d}}"}, "duplicate matrix \"vars\""},
        {{"routing: {router: {settings: {groups: {g: {}}}}}",
          "routing: {router: {settings: {groups: {g: {}}}}}"},
         "duplicate groups \"g\""},
        {{"routing: {router: {settings: {matrix: {sets: {}}}}}",
          "routing: {router: {settings: {matrix: {sets: {}}}}}"},
         "duplicate matrix \"sets\""},
        {{"models: {x: {}}", "models: [x]"},
         "b.yaml:1:9: error: conflict at \"models\": expected a mapping, introduced by b.yaml"},
        {{"models: [x]", "models: {x: {}}"},
         "a.yaml:1:9: error: conflict at \"models\": expected a mapping, introduced by a.yaml"},
    };
    for (const auto& row : rows) {
        const auto merged = merge(row.texts);
        CAPTURE(merged.messages());
        CHECK(merged.says(row.says));
        CHECK(merged.diagnostics.size() == 1);
    }
    const auto all = merge({"a: 1\nb: 1\nmodels: {x: {}, y: {}}", "a: 2\nb: []\nmodels: {x: {}}"});
    CHECK(all.diagnostics.size() == 3);
}

TEST_CASE("every file's tree counts against the same limits") {
    // Guards: a bomb in many small files is as large as one in a large file; places, heights and
    // weights of a merged tree are those of what it holds.
    const std::string bomb = "a: &a [1, 2, 3, 4, 5]\nb: [*a, *a, *a]\n";
    CHECK(merge({bomb, "c: 1"}, {.nodes_max = 40}).diagnostics.empty());
    const auto cut = merge({bomb, "x: [" + bomb.substr(7, 14) + "]"}, {.nodes_max = 30});
    CHECK(cut.says("b.yaml:1:"));
    CHECK(cut.says("too many nodes: more than 30"));
    CHECK(merge({"a: 12345", "b: 67890"}, {.expanded_bytes_max = 11}).says("too large"));

    const auto merged = merge({"x: {l: [1]}", "x: {l: [[[2]]]}\ny: 3"});
    REQUIRE(merged.tree);
    const Node& root = *merged.tree->root;
    CHECK(root.weight == 1 + 1 + 1 + 1 + 1 + 1 + 3 + 2);
    CHECK(root.bytes == 1 + 1 + 1 + 1 + 1 + 1);
    CHECK(root.height == 6);
    CHECK(root.find("x")->find("l")->items[1]->mark.file == 1);
    CHECK(root.find("x")->find("l")->items[0]->mark.file == 0);
}

TEST_CASE("several files are one configuration") {
    // Guards: models, groups and macros of different files work together, and a mistake of any
    // reader is told with the file in which it stands.
    const auto loaded =
        load_files({"macros: {bin: srv}\ngroups: {g: {members: [x, y]}}\n",
                    "models: {x: {cmd: '${bin} x ${PORT}'}}\n",
                    "models: {y: {cmd: '${bin} y ${PORT}'}}\nmacros: {other: 1}\n"});
    CAPTURE(all_of(loaded));
    REQUIRE(loaded.config);
    CHECK(loaded.config->models.size() == 2);
    CHECK(loaded.config->models[1].cmd == "srv y ${PORT}");
    CHECK(loaded.config->groups.front().members.size() == 2);
    CHECK(loaded.config->origin == "a.yaml, b.yaml, c.yaml");

    const auto wrong = load_files({"modles: {}\nmodels: {x: {cmd: 'x ${no}'}}\n",
                                   "# é\nmodels:\n  y: {cmd: x, ttl: abc}\nstartPort: 1\n"});
    CAPTURE(all_of(wrong));
    CHECK(!wrong.config);
    const auto* first = error_with(wrong, "unknown macro");
    REQUIRE(first != nullptr);
    CHECK(first->file == "a.yaml");
    CHECK(first->line == 2);
    const auto* second = error_with(wrong, "ttl");
    REQUIRE(second != nullptr);
    CHECK(second->file == "b.yaml");
    CHECK(second->line == 3);
    CHECK(second->source == "  y: {cmd: x, ttl: abc}");
    const auto* typo = warning_with(wrong, "modles");
    REQUIRE(typo != nullptr);
    CHECK(typo->file == "a.yaml");
}

TEST_CASE("one file in a list is the same as one file alone") {
    // Guards: --config-dir with one file changes no message.
    for (const char* text : {"", "models: {x: {cmd: a}}", "- a\n", "a: ${env.NO}\n", "a: [\n"}) {
        const std::vector<ConfigText> list{{"t.yaml", text}};
        const auto no_variables = [](const std::string&) { return std::optional<std::string>(); };
        const auto alone = test::load(text);
        const auto listed = load_config(list, no_variables);
        CHECK(listed.config == alone.config);
        CHECK(listed.diagnostics == alone.diagnostics);
    }
}

TEST_CASE("mistakes of whole files name the file as the peer does") {
    // Guards the peer's stable phrases, and that every broken file is told at once.
    const auto loaded = load_files({"a: 1\n", "- x\n", "b: ${env.NO}\n", "c: [\n", "a: \xff\n"});
    CAPTURE(all_of(loaded));
    CHECK(!loaded.config);
    CHECK(error_with(loaded, "config b.yaml: top-level YAML must be a mapping") != nullptr);
    const auto* unset = error_with(loaded, "config c.yaml: environment variable 'NO' is not set");
    REQUIRE(unset != nullptr);
    CHECK(unset->line == 1);
    CHECK(error_with(loaded, "not YAML")->file == "d.yaml");
    CHECK(error_with(loaded, "invalid UTF-8")->file == "e.yaml");
}

TEST_CASE("a secret of one file is not quoted, and the same line of another is") {
    // Guards: what is hidden is a line of a file, not a line number.
    const auto loaded = load_files({"models:\n  a: {cmd: x, ttl: abc}\n",
                                    "apiKeys:\n  - 'two words'\n", "startPort: ${env.S}\nx: 1\n"},
                                   {{"S", "hush-hush"}});
    CAPTURE(all_of(loaded));
    CHECK(error_with(loaded, "ttl")->source == "  a: {cmd: x, ttl: abc}");
    CHECK(error_with(loaded, "spaces")->file == "b.yaml");
    CHECK(error_with(loaded, "spaces")->source.empty());
    CHECK(all_of(loaded).find("hush-hush") == std::string::npos);
}
