// The matrix as the loader reads it: variables, costs, sets, where it stands, and every mistake.
#include "core/load/matrix_expression.hpp"
#include "load_support.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral;
using corral::test::all_of;
using corral::test::error_with;
using corral::test::warning_with;

namespace {

const std::string models =
    "models:\n  a: {cmd: 'x ${PORT}'}\n  b: {cmd: 'x ${PORT}', aliases: [bee]}\n  c: {cmd: 'x "
    "${PORT}'}\n  org/d:7b: {cmd: 'x ${PORT}'}\n";

Config good(const std::string& yaml) {
    const ConfigLoad loaded = test::load(yaml);
    INFO(all_of(loaded));
    REQUIRE(loaded.config.has_value());
    return *loaded.config;
}

/// A set with every reference and every parenthesis written out.
std::string shown(const MatrixConfig& matrix, std::uint32_t at) {
    const MatrixNode& node = matrix.nodes[at];
    if (node.kind == MatrixNode::Kind::model) {
        return node.model.str();
    }
    std::string out;
    for (const std::uint32_t child : node.children) {
        CHECK(child < at);
        out += out.empty() ? "(" : node.kind == MatrixNode::Kind::all ? " & " : " | ";
        out += shown(matrix, child);
    }
    return out + ")";
}

std::string shown(const MatrixConfig& matrix) {
    std::string out;
    for (const MatrixSet& set : matrix.sets) {
        out += (out.empty() ? "" : "; ") + set.name + ": " + shown(matrix, set.root);
    }
    return out;
}

struct Mistake {
    std::string matrix;
    std::string message;
};

const std::vector<Mistake> mistakes{
    {"{}", "matrix: matrix must define at least one set"},
    {"{sets: {}}", "matrix: matrix must define at least one set"},
    {"{vars: {v: a}}", "matrix: matrix must define at least one set"},
    {"{sets: [a]}", "matrix: sets must be a mapping"},
    {"{vars: [a], sets: {s: a}}", "matrix: vars must be a mapping"},
    {"{evict_costs: 3, sets: {s: a}}", "matrix: evict_costs must be a mapping"},
    {"{vars: {v_1: a}, sets: {s: a}}",
     "matrix: var key \"v_1\" must contain only alphanumeric, '-' or '.' characters and be 1-32 "
     "characters long"},
    {"{vars: {'': a}, sets: {s: a}}", "matrix: var key \"\" must contain only alphanumeric"},
    {"{vars: {v123456789012345678901234567890123: a}, sets: {s: a}}", "1-32 characters long"},
    {"{vars: {v: zz}, sets: {s: a}}", "matrix: var key \"v\" references unknown model \"zz\""},
    {"{vars: {v: ~}, sets: {s: a}}", "matrix: var key \"v\" references unknown model \"\""},
    {"{evict_costs: {a: 0}, sets: {s: a}}",
     "matrix: evict_cost for \"a\" must be a positive integer, got 0"},
    {"{evict_costs: {a: -3}, sets: {s: a}}", "must be a positive integer, got -3"},
    {"{evict_costs: {a: ~}, sets: {s: a}}", "must be a positive integer, got 0"},
    {"{evict_costs: {a: much}, sets: {s: a}}", "cannot unmarshal !!str `much` into int"},
    {"{evict_costs: {zz: 2}, sets: {s: a}}", "matrix: evict_costs: unknown var or model \"zz\""},
    {"{sets: {s: ''}}", "matrix: set \"s\": empty DSL expression"},
    {"{sets: {s: ~}}", "matrix: set \"s\": empty DSL expression"},
    {"{sets: {s: [a]}}", "cannot unmarshal !!seq into string"},
    {"{sets: {s: a / b}}", "matrix: set \"s\": tokenize: unexpected character '/' at position 2"},
    {"{sets: {s: a & +}}",
     "matrix: set \"s\": tokenize: expected set name after '+' at position 5"},
    {"{sets: {s: (a}}", "matrix: set \"s\": parse: missing closing parenthesis"},
    {"{sets: {s: a c}}", "matrix: set \"s\": parse: unexpected token \"c\" after expression"},
    {"{sets: {s: a &}}", "matrix: set \"s\": parse: unexpected token \"\""},
    {"{sets: {s: a | zz}}", "matrix: set \"s\": unknown var or model \"zz\" at position 4"},
    {"{sets: {s: a & +t}}", "matrix: set \"s\" references undefined set \"t\" at position 4"},
    {"{sets: {s: a & +s}}", "matrix: circular reference detected involving set \"s\""},
    {"{sets: {s: +t, t: +u, u: +t}}", "matrix: circular reference detected involving set \"t\""},
    {"{sets: {s: '${nope}'}}", "unknown macro '${nope}'"},
};

}  // namespace

TEST_CASE("every mistake in a matrix is an error with llama-swap's phrase, wherever it stands") {
    // Guards: the phrases of the contract, in both places where a matrix can be.
    for (const auto& [matrix, message] : mistakes) {
        for (const std::string& yaml :
             {models + "matrix: " + matrix,
              models + "routing: {router: {use: matrix, settings: {matrix: " + matrix + "}}}"}) {
            CAPTURE(yaml);
            const ConfigLoad loaded = test::load(yaml);
            INFO(all_of(loaded));
            CHECK_FALSE(loaded.config.has_value());
            const Diagnostic* found = error_with(loaded, message);
            REQUIRE(found != nullptr);
            CHECK(found->line == 6);
        }
    }
}

TEST_CASE("variables, costs and sets come out resolved") {
    // Guards: vars shadow ids, references share nodes, macros are expanded, costs find their model.
    const Config config = good(models +
                               "macros: {second: b}\n"
                               "matrix:\n"
                               "  vars: {a: c, big: 'org/d:7b'}\n"
                               "  evict_costs: {big: 10, b: 3}\n"
                               "  sets:\n"
                               "    small: a | ${second}\n"
                               "    all: (+small & big) | +small\n");
    CHECK(config.router == RouterKind::matrix);
    CHECK(shown(config.matrix) == "small: (c | b); all: (((c | b) & org/d:7b) | (c | b))");
    CHECK(config.matrix.nodes.size() == 6);  // three models, (c | b) once, and two of its own
    CHECK(config.matrix.sets[1].expression == "(+small & big) | +small");
    CHECK(config.matrix.evict_costs ==
          std::vector<EvictCost>{{ModelId("org/d:7b"), 10}, {ModelId("b"), 3}});
}

TEST_CASE("sets are ordered as ties are decided: as written, but after what they refer to") {
    // Guards: the order of llama-swap's topological sort.
    const Config config =
        good(models + "matrix: {sets: {z: a, top: +low & +mid, mid: b | +low, low: c, y: a}}");
    std::string order;
    for (const MatrixSet& set : config.matrix.sets) {
        order += set.name + " ";
    }
    CHECK(order == "z low mid top y ");
}

TEST_CASE("an alias is refused as in llama-swap, with the name to write") {
    // Guards: the same outcome as the peer's, and a next step.
    const ConfigLoad loaded = test::load(
        models + "matrix: {vars: {v: bee}, evict_costs: {bee: 4}, sets: {s: a, t: c & bee}}");
    INFO(all_of(loaded));
    CHECK(!loaded.config.has_value());
    for (const char* words : {"matrix: var key \"v\" references unknown model \"bee\"",
                              "matrix: evict_costs: unknown var or model \"bee\"",
                              "matrix: set \"t\": unknown var or model \"bee\""}) {
        const Diagnostic* found = error_with(loaded, words);
        REQUIRE(found != nullptr);
        CHECK(found->hint == "it is an alias: write \"b\", the model's own name");
    }
}

TEST_CASE("`use` picks: a matrix that is not used is neither read nor in the way of groups") {
    // Guards: both settings coexist as in llama-swap; one that was forgotten is pointed at.
    const std::string settings = "settings: {groups: {g: {members: [a]}}, matrix: {sets: {s: zz}}}";
    const ConfigLoad groups =
        test::load(models + "routing: {router: {use: group, " + settings + "}}");
    REQUIRE(groups.config.has_value());
    CHECK(groups.diagnostics.empty());
    CHECK(groups.config->router == RouterKind::group);
    CHECK(groups.config->groups.size() == 2);
    CHECK(groups.config->matrix == MatrixConfig{});

    const ConfigLoad forgotten = test::load(models + "routing: {router: {" + settings + "}}");
    CHECK(forgotten.config.has_value());
    CHECK(warning_with(forgotten, "the matrix is not used") != nullptr);

    const Config matrix = good(models +
                               "routing: {router: {use: matrix, settings: {groups: {g: {members: "
                               "[zz]}}, matrix: {sets: {s: a & b}}}}}");
    CHECK(matrix.router == RouterKind::matrix);
    CHECK(shown(matrix.matrix) == "s: (a & b)");
}

TEST_CASE("spillover targets must share a combination of the matrix") {
    // Guards: targets that push each other out would never share the load; and a broken matrix is
    // not reported twice.
    const auto with = [](const std::string& sets, const std::string& targets) {
        return test::load(models + "matrix: {sets: {" + sets + "}}\nselectors: {s: {strategy: " +
                          "spillover, targets: [" + targets + "]}}");
    };
    const std::string phrase = "targets must all appear together in one expanded matrix set";
    CHECK(with("s: (a | c) & b", "a, bee").config.has_value());
    CHECK(error_with(with("s: (a | c) & b", "a, b, c"), phrase) != nullptr);
    CHECK(error_with(with("s: a, t: b", "a, b"), phrase) != nullptr);
    CHECK(error_with(with("s: a &", "a, b"), phrase) == nullptr);
}

TEST_CASE("all mistakes of a matrix are told at once, with the nearest name") {
    // Guards: nobody fixes a matrix one error at a time.
    const ConfigLoad loaded = test::load(
        "models: {gemma: {cmd: 'x ${PORT}'}, qwen: {cmd: 'x ${PORT}'}}\n"
        "matrix:\n"
        "  vars: {g: gema}\n"
        "  evict_costs: {qwne: 2}\n"
        "  sets:\n"
        "    one: g & quen\n"
        "    two: +on\n"
        "    three: g &\n");
    INFO(all_of(loaded));
    CHECK(loaded.diagnostics.size() == 5);  // and none for each use of the broken variable
    CHECK(error_with(loaded, "did you mean \"gemma\"?") != nullptr);
    CHECK(error_with(loaded, "did you mean \"qwen\"?") != nullptr);
    CHECK(error_with(loaded, "did you mean \"one\"?") != nullptr);
    const Diagnostic* last = error_with(loaded, "set \"three\"");
    REQUIRE(last != nullptr);
    CHECK(last->line == 8);
}

TEST_CASE("an astronomical matrix costs what its text costs") {
    // Guards: doubling at every level is linear in nodes, a long chain of sets needs no stack, and
    // the number of terms is bounded.
    std::string doubling = models + "matrix:\n  sets:\n    s0: a | b\n";
    for (int i = 1; i < 64; ++i) {
        const std::string before = "+s" + std::to_string(i - 1);
        doubling += "    s" + std::to_string(i) + ": (" + before + ") & " + before + " & c\n";
    }
    const Config config = good(doubling);
    CHECK(config.matrix.nodes.size() == 3 + 64);

    std::string chain = models + "matrix:\n  sets:\n";
    for (int i = 0; i < 20'000; ++i) {
        chain += "    s" + std::to_string(i) + ": +s" + std::to_string(i + 1) + "\n";
    }
    const Config chained = good(chain + "    s20000: a\n");
    CHECK(chained.matrix.nodes.size() == 1);
    CHECK(chained.matrix.sets.front().name == "s20000");

    std::string large = models + "matrix:\n  sets:\n";
    for (int i = 0; i < 70; ++i) {
        large += "    s" + std::to_string(i) + ": a";
        for (int j = 0; j < 1'000; ++j) {
            large += "|b";
        }
        large += "\n";
    }
    const ConfigLoad refused = test::load(large);
    CHECK_FALSE(refused.config.has_value());
    CHECK(refused.diagnostics.size() == 1);
    CHECK(error_with(refused, "the sets have more than 65536 terms in all") != nullptr);
}
