// The scheduler with a matrix: who may run beside whom, and which swaps may be under way together.
#include "core/config_load.hpp"
#include "scheduler_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace corral;
using namespace corral::test;

namespace {

/// A config with one-letter models and these sets, in YAML: "pair: a & b, other: c".
std::shared_ptr<Config> matrix_of(const std::string& models, const std::string& sets,
                                  const std::string& costs = "") {
    std::string yaml = "models:\n";
    for (const char name : models) {
        yaml += std::string("  ") + name + ": {cmd: 'server ${PORT}'}\n";
    }
    yaml += "matrix: {evict_costs: {" + costs + "}, sets: {" + sets + "}}\n";
    const ConfigLoad loaded =
        load_config(yaml, "test", [](const std::string&) { return std::optional<std::string>(); });
    REQUIRE(loaded.config.has_value());
    return std::make_shared<Config>(*loaded.config);
}

}  // namespace

TEST_CASE("matrix: models of one combination coexist, a swap keeps as much as it allows") {
    // Guards: the contract's examples: a and c coexist, b evicts a and keeps c, a loner evicts all.
    Yard y(matrix_of("abcz", "s: (a | b) & c"));
    y.load("a");
    CHECK(y.request("c") == "start c");
    CHECK(y.ready("c") == "grant 2:c");
    y.release("c");
    CHECK(y.request("b") == "stop a:swap");
    CHECK(y.stopped("a") == "start b");
    CHECK(y.ready("b") == "grant 3:b");
    y.release("b");
    CHECK(y.request("c") == "grant 4:c");  // it never left
    y.release("c");
    CHECK(y.request("z") == "stop c:swap; stop b:swap");
    CHECK(y.stopped("c").empty());
    CHECK(y.stopped("b") == "start z");
    CHECK(y.ready("z") == "grant 5:z");
    y.release("z");
    CHECK(y.request("c") == "stop z:swap");
}

TEST_CASE("matrix: what costs more to evict stays") {
    // Guards: evict_costs decide, not the number of models.
    Yard dear(matrix_of("abcx", "all: a & b & c, s: (x & a & b) | (x & c)", "c: 5"));
    dear.load("a");
    dear.load("b");
    dear.load("c");
    CHECK(dear.request("x") == "stop a:swap; stop b:swap");
    Yard even(matrix_of("abcx", "all: a & b & c, s: (x & a & b) | (x & c)"));
    even.load("a");
    even.load("b");
    even.load("c");
    CHECK(even.request("x") == "stop c:swap");
}

TEST_CASE("matrix: a swap waits for the requests in flight of its victims only") {
    // Guards: nothing leased is stopped, and who stays goes on serving.
    Yard y(matrix_of("abc", "s: (a | b) & c"));
    y.request("a");
    y.ready("a");  // 1 in flight
    y.load("c");
    CHECK(y.request("b").empty());
    CHECK(y.request("c") == "grant 4:c");
    CHECK(y.release("a") == "stop a:swap");
}

TEST_CASE("matrix: two swaps whose targets may not run together are not both under way") {
    // Guards: the target of a swap under way counts as running, although it has not started.
    Yard y(matrix_of("abqr", "s: (q & r) | (a & r) | (b & q)"));
    y.load("q");
    y.load("r");
    CHECK(y.request("a") == "stop q:swap");
    CHECK(y.request("b").empty());  // b and q may stay, but not b and a
    CHECK(y.stopped("q") == "start a");
    CHECK(y.ready("a") == "grant 3:a");
    CHECK(y.release("a") == "stop r:swap; stop a:swap");
}

TEST_CASE("matrix: swaps that do not concern each other go on side by side") {
    // Guards: several disjoint swaps at once.
    Yard y(matrix_of("abcd", "s: (a | b) & (c | d)"));
    y.load("a");
    y.load("c");
    CHECK(y.request("b") == "stop a:swap");
    CHECK(y.request("d") == "stop c:swap");
    CHECK(y.stopped("c") == "start d");  // beside a, which still stops
    CHECK(y.stopped("a") == "start b");
    CHECK(y.ready("b") == "grant 3:b");
    CHECK(y.ready("d") == "grant 4:d");
}

TEST_CASE("matrix: who leaves anyway costs nothing") {
    // Guards: nobody is stopped to spare a process that is on its way out.
    Yard y(matrix_of("abx", "pair: a & b, s: (x & a) | (x & b)"));
    y.load("a");
    y.load("b");
    CHECK(y.unload("a") == "stop a:unload");
    CHECK(y.request("x").empty());  // keeps b, waits for a
    CHECK(y.stopped("a") == "start x");
}

TEST_CASE("matrix: an overdue request holds back its victims and what does not fit, nothing else") {
    // Guards: bounded waiting without delaying those who can run before and after.
    Yard y(matrix_of("acmn", "s: (a & m & n) | (c & m)"));
    y.request("a");
    y.ready("a");  // 1 in flight
    CHECK(y.request("c").empty());
    CHECK(y.request("a") == "grant 3:a");
    y.pass(max_wait);
    CHECK(y.request("a").empty());       // 4, a must go for c
    CHECK(y.request("m") == "start m");  // fits beside a now and beside c then
    CHECK(y.request("n").empty());       // fits beside a, but not beside c
    CHECK(y.ready("m") == "grant 5:m");
    CHECK(y.release("a").empty());
    CHECK(y.release("a") == "stop a:swap");
    CHECK(y.stopped("a") == "start c");
}

TEST_CASE("matrix: whom an overdue request needs gone does not change while it waits") {
    // Guards: a tie that another model's start would decide anew leaves the first choice in force,
    // so that the ones held back do not take turns in starving the request.
    Yard y(matrix_of("cmxy", "s: (c & y) | (c & x & m) | (c & y & m), t: x & y & m"));
    y.request("x");
    y.ready("x");
    y.request("y");
    y.ready("y");
    y.request("c");
    y.pass(max_wait);
    CHECK(y.request("x").empty());
    CHECK(y.request("m") == "start m");
    CHECK(y.ready("m") == "grant 5:m");
    CHECK(y.request("y") == "grant 6:y");
    CHECK(y.request("x").empty());
    CHECK(y.release("x") == "stop x:swap");
}

TEST_CASE("matrix: a model that left the config ends before anything starts") {
    // Guards: no set says what may run beside it, and its requests end in peace.
    auto config = matrix_of("abc", "s: a & b & c");
    Yard y(config);
    y.request("a");
    y.ready("a");
    CHECK(y.step(Reconfigure{matrix_of("bc", "s: b & c")}).empty());
    CHECK(y.request("b").empty());
    CHECK(y.release("a") == "stop a:config");
    CHECK(y.stopped("a") == "start b");
    CHECK(y.request("c") == "start c");
}

TEST_CASE("matrix: groups become a matrix and back while models run") {
    // Guards: what runs goes on; the next start is decided by the new rules.
    auto matrix = matrix_of("abc", "s: a & b");
    auto groups = std::make_shared<Config>(*matrix);
    groups->router = RouterKind::group;
    groups->groups = {group("all", false, true, false, {"a", "b", "c"})};
    Yard y(groups);
    y.load("a");
    y.load("c");
    CHECK(y.step(Reconfigure{matrix}).empty());
    CHECK(y.request("a") == "grant 3:a");  // runs already: nobody is evicted for it
    y.release("a");
    CHECK(y.request("b") == "stop c:swap");
    CHECK(y.stopped("c") == "start b");
    y.ready("b");
    y.release("b");
    CHECK(y.step(Reconfigure{groups}).empty());
    CHECK(y.request("c") == "start c");
    CHECK(y.scheduler.rough_decisions() == 0);
}

TEST_CASE("matrix: a decision that was too hard is counted, and evicts enough") {
    // Guards: the bound on work ends in more evictions and in a number, not in a stall.
    auto config = std::make_shared<Config>();
    MatrixConfig& matrix = config->matrix;
    config->router = RouterKind::matrix;
    const auto add = [&matrix](MatrixNode node) {
        matrix.nodes.push_back(std::move(node));
        return static_cast<std::uint32_t>(matrix.nodes.size() - 1);
    };
    std::vector<std::uint32_t> leaves;
    for (int i = 0; i <= 40; ++i) {
        const std::string id = i < 40 ? "m" + std::to_string(10 + i) : "target";
        config->models.push_back(model(id));
        leaves.push_back(add({MatrixNode::Kind::model, ModelId(id), {}}));
    }
    MatrixNode hard{MatrixNode::Kind::all, {}, {leaves[40]}};
    leaves.pop_back();
    for (std::size_t i = 0; i < 40; i += 2) {
        hard.children.push_back(add({MatrixNode::Kind::any, {}, {leaves[i], leaves[i + 1]}}));
    }
    hard.children.push_back(add({MatrixNode::Kind::any, {}, leaves}));
    matrix.sets.push_back({"all", "", add({MatrixNode::Kind::all, {}, leaves})});
    matrix.sets.push_back({"hard", "", add(std::move(hard))});
    Yard y(config);
    for (const ModelConfig& one : config->models) {
        if (one.id.str() != "target") {
            y.load(one.id.str().c_str());
        }
    }
    const std::string stops = y.request("target");
    CHECK(std::count(stops.begin(), stops.end(), ';') >= 18);
    CHECK(y.scheduler.rough_decisions() > 0);
}
