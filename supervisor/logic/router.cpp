// Hands each question to the policy of the config. Groups know pairs of models only; the matrix
// knows whole worlds.
#include "supervisor/logic/router.hpp"

#include <algorithm>

namespace corral {
namespace {

std::variant<GroupRouter, MatrixRouter> policy_of(const Config& config) {
    if (config.router == RouterKind::matrix) {
        return MatrixRouter(config);
    }
    return GroupRouter(config);
}

bool contains(std::span<const Seat> seats, Seat seat) {
    return std::find(seats.begin(), seats.end(), seat) != seats.end();
}

}  // namespace

Router::Router(const Config& config) : policy_(policy_of(config)) {}

Seat Router::adopt(const Router& old, Seat old_seat, const ModelId& model) {
    if (auto* matrix = std::get_if<MatrixRouter>(&policy_)) {
        return matrix->adopt(model);
    }
    auto& groups = std::get<GroupRouter>(policy_);
    const auto* before = std::get_if<GroupRouter>(&old.policy_);
    return before != nullptr ? groups.adopt(*before, old_seat, model) : groups.adopt(model);
}

Seat Router::seat(const ModelId& model) const {
    return std::visit([&](const auto& policy) { return policy.seat(model); }, policy_);
}

Evictions Router::evictions(Seat target, std::span<const Runner> running) const {
    return std::visit([&](const auto& policy) { return policy.evictions(target, running); },
                      policy_);
}

bool Router::fits(Seat newcomer, Seat claim, std::span<const Seat> world,
                  std::span<const Seat> gone) const {
    if (const auto* groups = std::get_if<GroupRouter>(&policy_)) {
        return !groups->evicts(claim, newcomer);
    }
    std::vector<Seat> together;
    std::copy_if(world.begin(), world.end(), std::back_inserter(together), [&](Seat seat) {
        return seat == claim || (seat != newcomer && !contains(gone, seat));
    });
    together.push_back(newcomer);
    return std::get<MatrixRouter>(policy_).allows(together);
}

bool Router::allows(std::span<const Seat> running) const {
    if (const auto* matrix = std::get_if<MatrixRouter>(&policy_)) {
        return matrix->allows(running);
    }
    const auto& groups = std::get<GroupRouter>(policy_);
    return std::none_of(running.begin(), running.end(), [&](Seat a) {
        return std::any_of(running.begin(), running.end(),
                           [&](Seat b) { return groups.evicts(a, b) && groups.evicts(b, a); });
    });
}

}  // namespace corral
