#pragma once
// The door between the scheduler and whatever decides which models may run together: groups or a
// matrix, as the config says. Pure: asked speculatively, many times for each decision; it never
// logs and changes nothing. Any thread.

#include "core/config.hpp"
#include "supervisor/logic/group_router.hpp"
#include "supervisor/logic/matrix_router.hpp"
#include "supervisor/logic/seat.hpp"

#include <span>
#include <variant>

namespace corral {

class Router {
public:
    Router() = default;
    explicit Router(const Config& config);

    /// Gives a model that left the config, but still runs, a seat: with the rules of the group that
    /// it started in where there are groups before and after, else with the strictest.
    /// `old_seat` is of `old`.
    Seat adopt(const Router& old, Seat old_seat, const ModelId& model);

    /// The seat of a model of the config (or adopted). Requires: it is one.
    [[nodiscard]] Seat seat(const ModelId& model) const;

    /// Who has to be stopped before `target` may run, or may be served if it runs.
    [[nodiscard]] Evictions evictions(Seat target, std::span<const Runner> running) const;

    /// True when `newcomer` may start although an older `claim` waits for its place in a `world`:
    /// the models that will run when the claim has had its way, itself among them. Those in `gone`
    /// are stopped for the newcomer.
    [[nodiscard]] bool fits(Seat newcomer, Seat claim, std::span<const Seat> world,
                            std::span<const Seat> gone) const;

    /// False when these can never have come to run together by the rules.
    [[nodiscard]] bool allows(std::span<const Seat> running) const;

private:
    std::variant<GroupRouter, MatrixRouter> policy_;
};

}  // namespace corral
