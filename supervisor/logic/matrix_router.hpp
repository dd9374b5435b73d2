#pragma once
// llama-swap's matrix as a policy: a model may run beside what one of the sets allows beside it,
// and what has to go for it is what costs the least (core/matrix_solver.hpp). Pure: it never logs
// and changes nothing. Any thread.

#include "core/config.hpp"
#include "core/matrix_solver.hpp"
#include "supervisor/logic/seat.hpp"

#include <span>
#include <unordered_map>
#include <vector>

namespace corral {

class MatrixRouter {
public:
    explicit MatrixRouter(const Config& config);

    /// Gives a model that left the config, but still runs, a seat. No set knows it any more, so
    /// that nothing starts beside it.
    Seat adopt(const ModelId& model);

    /// The seat of a model of the config (or adopted). Requires: it is one.
    [[nodiscard]] Seat seat(const ModelId& model) const;

    /// None when the target runs already.
    [[nodiscard]] Evictions evictions(Seat target, std::span<const Runner> running) const;

    /// True when all of these may run at once.
    [[nodiscard]] bool allows(std::span<const Seat> seats) const;

private:
    MatrixSolver solver_;
    std::vector<MatrixSolver::Number> numbers_;  // by seat
    std::unordered_map<ModelId, Seat> seats_;
};

}  // namespace corral
