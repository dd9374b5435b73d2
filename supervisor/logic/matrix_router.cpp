// The matrix policy; see the header. Seats are every model, the solver's numbers those in sets.
#include "supervisor/logic/matrix_router.hpp"

#include <algorithm>

namespace corral {

MatrixRouter::MatrixRouter(const Config& config) : solver_(config.matrix) {
    for (const ModelConfig& model : config.models) {
        seats_.emplace(model.id, static_cast<Seat>(numbers_.size()));
        numbers_.push_back(solver_.number(model.id));
    }
}

Seat MatrixRouter::adopt(const ModelId& model) {
    const auto seat = static_cast<Seat>(numbers_.size());
    numbers_.push_back(MatrixSolver::in_no_set);
    seats_.insert_or_assign(model, seat);
    return seat;
}

Seat MatrixRouter::seat(const ModelId& model) const {
    return seats_.at(model);
}

Evictions MatrixRouter::evictions(Seat target, std::span<const Runner> running) const {
    std::vector<MatrixSolver::Runner> runners;
    runners.reserve(running.size());
    for (const Runner& runner : running) {
        if (runner.seat == target) {
            return {};
        }
        runners.push_back({numbers_[runner.seat], runner.leaving});
    }
    MatrixSolver::Answer answer = solver_.evictions(numbers_[target], runners);
    return {std::move(answer.evictions), answer.exact};
}

bool MatrixRouter::allows(std::span<const Seat> seats) const {
    std::vector<MatrixSolver::Number> numbers;
    numbers.reserve(seats.size());
    std::transform(seats.begin(), seats.end(), std::back_inserter(numbers),
                   [this](Seat seat) { return numbers_[seat]; });
    return solver_.allows(numbers);
}

}  // namespace corral
