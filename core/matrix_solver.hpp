#pragma once
// What llama-swap's matrix says about models that run: which of them may stay beside another one.
// The combinations that the sets allow are never written out: each question looks at every node
// once and keeps, of all that can be chosen there, only what can matter for the models asked about.
// Pure; built once for a config. Any thread.

#include "core/routing_config.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace corral {

/// How much one question may cost, in comparisons of two combinations: well under a millisecond.
/// What is not decided by then is decided roughly.
inline constexpr std::size_t matrix_work_max = 50'000;

class MatrixSolver {
public:
    MatrixSolver() = default;
    explicit MatrixSolver(const MatrixConfig& config, std::size_t work_max = matrix_work_max);

    /// A model as the solver knows it.
    using Number = std::uint32_t;
    static constexpr Number in_no_set = UINT32_MAX;
    [[nodiscard]] Number number(const ModelId& model) const;

    struct Runner {
        Number model = in_no_set;
        bool leaving = false;  ///< it goes anyway: to evict it costs nothing
    };
    struct Answer {
        std::vector<std::size_t> evictions;  ///< positions in `running`, ascending
        bool exact = true;  ///< false: the work was cut short, others might have cost less
    };
    /// Who has to go before `target` may run: what is left is allowed beside it by some set, and
    /// costs the least to get to. Among equals the one that waits for fewer of those that leave
    /// anyway, then the first set in the order of ties, then the first in its expression. A model
    /// in no set runs alone. `running` is without the target.
    [[nodiscard]] Answer evictions(Number target, std::span<const Runner> running) const;

    /// True when one set allows all of these at once. One model, or none, may always run. May say
    /// false for what is allowed when the question is too hard.
    [[nodiscard]] bool allows(std::span<const Number> models) const;

    /// A compiled node: what is below it, or its model.
    struct Node {
        MatrixNode::Kind kind = MatrixNode::Kind::model;
        Number model = in_no_set;
        std::uint32_t begin = 0;  ///< of its children in Program::children
        std::uint32_t end = 0;
    };
    struct Program {
        std::vector<Node> nodes;  ///< children before parents
        std::vector<std::uint32_t> children;
        std::vector<std::uint32_t> roots;  ///< in the order in which ties are decided, each once
        std::vector<std::int64_t> costs;   ///< by number
    };

private:
    Program program_;
    std::unordered_map<ModelId, Number> numbers_;
    std::size_t work_max_ = matrix_work_max;
};

/// True when one expansion of one set of the matrix holds all of these models, or there are fewer
/// than two.
[[nodiscard]] bool can_run_together(const MatrixConfig& matrix, std::span<const ModelId> models);

}  // namespace corral
