// The matrix solver beside a second one that writes every combination out, over thousands of small
// random matrices; the contract's examples; and what it does when a question is too hard.
#include "core/matrix_solver.hpp"

#include "tests/support/random_matrix.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::test;

namespace {

using Mask = ModelMask;
using Kind = MatrixNode::Kind;

struct Running {
    ModelId id;
    bool leaving = false;
};

/// One question, and what is true about its answers.
class Question {
public:
    Question(const MatrixConfig& matrix, ModelId target, std::vector<Running> running)
        : matrix_(matrix), target_(std::move(target)), running_(std::move(running)) {}

    MatrixSolver::Answer ask(std::size_t work_max = matrix_work_max) const {
        const MatrixSolver solver(matrix_, work_max);
        std::vector<MatrixSolver::Runner> runners;
        for (const Running& one : running_) {
            runners.push_back({solver.number(one.id), one.leaving});
        }
        return solver.evictions(solver.number(target_), runners);
    }

    /// Σ of the costs, and how many leavers it waits for.
    std::pair<std::int64_t, int> cost(Mask kept) const {
        std::pair<std::int64_t, int> out;
        for (const Running& one : running_) {
            if ((kept & bit(one.id)) == 0) {
                const auto found =
                    std::find_if(matrix_.evict_costs.begin(), matrix_.evict_costs.end(),
                                 [&](const EvictCost& cost) { return cost.model == one.id; });
                const std::int64_t of_it = found != matrix_.evict_costs.end() ? found->cost : 1;
                out.first += one.leaving ? 0 : of_it;
                out.second += one.leaving ? 1 : 0;
            }
        }
        return out;
    }

    Mask kept(const MatrixSolver::Answer& answer) const {
        Mask out = 0;
        for (std::size_t i = 0; i < running_.size(); ++i) {
            const auto& gone = answer.evictions;
            if (std::find(gone.begin(), gone.end(), i) == gone.end()) {
                out |= bit(running_[i].id);
            }
        }
        return out;
    }

    /// What the first set with the least cost keeps, best first; empty: no set has the target.
    std::vector<Mask> best_kept() const {
        Mask all = 0;
        for (const Running& one : running_) {
            all |= bit(one.id);
        }
        std::vector<Mask> out;
        for (const MatrixSet& set : matrix_.sets) {
            std::vector<Mask> here;
            for (const Mask mask : combinations(matrix_, set.root)) {
                if ((mask & bit(target_)) == 0) {
                    continue;
                }
                if (here.empty() || cost(mask) < cost(here.front())) {
                    here = {mask & all};
                } else if (cost(mask) == cost(here.front())) {
                    here.push_back(mask & all);
                }
            }
            if (!here.empty() && (out.empty() || cost(here.front()) < cost(out.front()))) {
                out = here;
            }
        }
        return out;
    }

    bool allowed(Mask together) const {
        return std::any_of(matrix_.sets.begin(), matrix_.sets.end(), [&](const MatrixSet& set) {
            const std::vector<Mask> all = combinations(matrix_, set.root);
            return std::any_of(all.begin(), all.end(),
                               [&](Mask mask) { return (together & ~mask) == 0; });
        });
    }
    const ModelId& target() const { return target_; }

private:
    const MatrixConfig& matrix_;
    ModelId target_;
    std::vector<Running> running_;
};

Question random_question(RandomMatrix& from, const MatrixConfig& matrix, int models) {
    const int target = from.pick(0, models);  // the last is in no set
    std::vector<Running> running;
    for (int i = 0; i <= models; ++i) {
        if (i != target && from.pick(0, 2) != 0) {
            running.push_back({letter(static_cast<std::size_t>(i)), from.pick(0, 4) == 0});
        }
    }
    return {matrix, letter(static_cast<std::size_t>(target)), running};
}

/// `(a & c) | (b & c)`, c costs 5; d alone; loner in no set.
MatrixConfig example() {
    MatrixConfig out;
    for (const char* id : {"a", "b", "c", "d"}) {
        out.nodes.push_back({Kind::model, ModelId(id), {}});
    }
    out.nodes.push_back({Kind::any, {}, {0, 1}});
    out.nodes.push_back({Kind::all, {}, {4, 2}});
    out.sets.push_back({"pair", "(a | b) & c", 5});
    out.sets.push_back({"alone", "d", 3});
    out.evict_costs.push_back({ModelId("c"), 5});
    return out;
}

}  // namespace

TEST_CASE("the solver finds what writing out every combination finds") {
    // Guards: the cheapest evictions, from the first set that has them, over random matrices with
    // shared sets and models that are named many times.
    constexpr int models = 6;
    std::size_t in_order = 0;
    std::size_t ties = 0;
    for (std::uint32_t seed = 1; seed <= 6'000; ++seed) {
        CAPTURE(seed);
        RandomMatrix builder(seed, models, seed % 3 == 0);
        const MatrixConfig matrix = builder.build();
        for (int round = 0; round < 4; ++round) {
            const Question question = random_question(builder, matrix, models);
            const MatrixSolver::Answer answer = question.ask();
            const std::vector<Mask> best = question.best_kept();
            REQUIRE(answer.exact);
            const Mask kept = question.kept(answer);
            if (best.empty()) {
                REQUIRE(kept == 0);
                continue;
            }
            REQUIRE(question.cost(kept) == question.cost(best.front()));
            REQUIRE(std::find(best.begin(), best.end(), kept) != best.end());
            ++ties;
            in_order += kept == best.front() ? 1U : 0U;
            if (seed % 3 == 0) {  // each model once in a set: the order is exact
                REQUIRE(kept == best.front());
            }
        }
    }
    MESSAGE(in_order, " of ", ties, " are the first in the order of the expression");
    CHECK(in_order * 100 >= ties * 99);
}

TEST_CASE("allows() is true for exactly the subsets of the combinations") {
    // Guards: subset semantics, and that a model which runs alone is always allowed.
    constexpr int models = 5;
    for (std::uint32_t seed = 1; seed <= 1'000; ++seed) {
        CAPTURE(seed);
        RandomMatrix builder(seed, models, false);
        const MatrixConfig matrix = builder.build();
        const MatrixSolver solver(matrix);
        const Question question(matrix, letter(0), {});
        for (Mask mask = 0; mask < (Mask{1} << (models + 1)); ++mask) {
            std::vector<MatrixSolver::Number> numbers;
            std::vector<ModelId> ids;
            for (std::size_t i = 0; i <= models; ++i) {
                if ((mask >> i & 1U) != 0) {
                    ids.push_back(letter(i));
                    numbers.push_back(solver.number(ids.back()));
                }
            }
            const bool expected = ids.size() < 2 || question.allowed(mask);
            REQUIRE(solver.allows(numbers) == expected);
            if (mask % 7 == 0) {
                REQUIRE(can_run_together(matrix, ids) == expected);
            }
        }
    }
}

TEST_CASE("when the work is cut short, the answer is still allowed, and says that it is rough") {
    // Guards: the safe fall-back evicts more, never less, and keeps the target.
    constexpr int models = 7;
    std::size_t rough = 0;
    for (std::uint32_t seed = 1; seed <= 3'000; ++seed) {
        CAPTURE(seed);
        RandomMatrix builder(seed, models, false);
        const MatrixConfig matrix = builder.build();
        const Question question = random_question(builder, matrix, models);
        const MatrixSolver::Answer answer = question.ask(static_cast<std::size_t>(seed % 20));
        const std::vector<Mask> best = question.best_kept();
        const Mask kept = question.kept(answer);
        if (best.empty()) {
            REQUIRE(kept == 0);
            continue;
        }
        REQUIRE(question.allowed(kept | bit(question.target())));
        REQUIRE(question.cost(kept) >= question.cost(best.front()));
        if (answer.exact) {
            REQUIRE(question.cost(kept) == question.cost(best.front()));
        }
        rough += answer.exact ? 0U : 1U;
    }
    CHECK(rough > 1'000);
}

TEST_CASE("a hard question ends within its bound of work and says so") {
    // Guards: an antichain of 2^20 combinations of models that are each named twice is cut short,
    // not computed; and what it keeps is allowed.
    MatrixConfig matrix;
    const auto add = [&matrix](MatrixNode node) {
        matrix.nodes.push_back(std::move(node));
        return static_cast<std::uint32_t>(matrix.nodes.size() - 1);
    };
    const std::uint32_t target = add({Kind::model, ModelId("target"), {}});
    MatrixNode whole{Kind::all, {}, {target}};
    std::vector<std::uint32_t> leaves;
    for (int i = 0; i < 40; ++i) {
        leaves.push_back(add({Kind::model, ModelId("m" + std::to_string(i)), {}}));
    }
    for (std::size_t i = 0; i < 20; ++i) {
        whole.children.push_back(add({Kind::any, {}, {leaves[2 * i], leaves[2 * i + 1]}}));
    }
    whole.children.push_back(add({Kind::any, {}, leaves}));  // names all of them again
    matrix.sets.push_back({"hard", "", add(std::move(whole))});
    const MatrixSolver solver(matrix);
    std::vector<MatrixSolver::Runner> running;
    for (int i = 0; i < 40; ++i) {
        running.push_back({solver.number(ModelId("m" + std::to_string(i))), false});
    }
    const auto answer = solver.evictions(solver.number(ModelId("target")), running);
    CHECK_FALSE(answer.exact);
    CHECK(answer.evictions.size() >= 19);  // 20 of the pairs and one more could stay
    std::vector<MatrixSolver::Number> kept{solver.number(ModelId("target"))};
    for (std::size_t i = 0; i < running.size(); ++i) {
        if (std::find(answer.evictions.begin(), answer.evictions.end(), i) ==
            answer.evictions.end()) {
            kept.push_back(running[i].model);
        }
    }
    CHECK(solver.allows(kept));
}

TEST_CASE("more models run than a word has bits") {
    // Guards: masks of several words.
    MatrixConfig matrix;
    MatrixNode together{Kind::all, {}, {}};
    for (std::uint32_t i = 0; i < 200; ++i) {
        matrix.nodes.push_back({Kind::model, ModelId("m" + std::to_string(i)), {}});
        together.children.push_back(i);
    }
    together.children.pop_back();
    matrix.nodes.push_back(together);
    matrix.sets.push_back({"most", "", 200});
    const MatrixSolver solver(matrix);
    std::vector<MatrixSolver::Runner> running;
    for (int i = 1; i < 200; ++i) {
        running.push_back({solver.number(ModelId("m" + std::to_string(i))), false});
    }
    const auto answer = solver.evictions(solver.number(ModelId("m0")), running);
    CHECK(answer.exact);
    CHECK(answer.evictions == std::vector<std::size_t>{198});
}

TEST_CASE("the contract's examples") {
    // Guards: a and c coexist; b evicts a and keeps c; a loner evicts all; c costs 5.
    const MatrixConfig matrix = example();
    const auto evicted = [&](const char* target, std::vector<Running> running) {
        const auto answer = Question(matrix, ModelId(target), running).ask();
        std::string out;
        for (const std::size_t position : answer.evictions) {
            out += running[position].id.str();
        }
        return out;
    };
    CHECK(evicted("a", {{ModelId("c")}}).empty());
    CHECK(evicted("c", {{ModelId("a")}}).empty());
    CHECK(evicted("b", {{ModelId("a")}, {ModelId("c")}}) == "a");
    CHECK(evicted("z", {{ModelId("a")}, {ModelId("c")}}) == "ac");
    CHECK(evicted("a", {{ModelId("z")}}) == "z");
    CHECK(evicted("d", {{ModelId("a")}, {ModelId("c")}}) == "ac");
    CHECK(can_run_together(matrix, std::vector{ModelId("a"), ModelId("c")}));
    CHECK_FALSE(can_run_together(matrix, std::vector{ModelId("a"), ModelId("b")}));

    MatrixConfig costly = matrix;  // x goes with a and b, or with c, which costs 5
    costly.nodes.push_back({Kind::model, ModelId("x"), {}});
    costly.nodes.push_back({Kind::all, {}, {6, 0, 1}});
    costly.nodes.push_back({Kind::all, {}, {6, 2}});
    costly.sets = {{"many", "x & a & b", 7}, {"dear", "x & c", 8}};
    const std::vector<Running> running{{ModelId("a")}, {ModelId("b")}, {ModelId("c")}};
    CHECK(Question(costly, ModelId("x"), running).ask().evictions ==
          std::vector<std::size_t>{0, 1});
    costly.evict_costs.clear();
    CHECK(Question(costly, ModelId("x"), running).ask().evictions == std::vector<std::size_t>{2});
}
