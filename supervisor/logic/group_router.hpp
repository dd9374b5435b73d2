#pragma once
// Which running models have to go before another one may run: llama-swap's groups as a policy.
// Pure: called speculatively, many times for each decision; it never logs and changes nothing.
// MatrixRouter stands beside it, behind the same door (router.hpp). Any thread.

#include "core/config.hpp"
#include "supervisor/logic/seat.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace corral {

class GroupRouter {
public:
    GroupRouter() = default;
    /// Models in no group share one that swaps and is exclusive, as in llama-swap's "(default)".
    explicit GroupRouter(const Config& config);

    /// Gives a model that left the config, but still runs, a seat with the rules it started under.
    /// `old_seat` is of `old`.
    Seat adopt(const GroupRouter& old, Seat old_seat, const ModelId& model);
    /// The same for one that started under no groups: it is treated as if it were in none.
    Seat adopt(const ModelId& model);

    /// The seat of a model of the config (or adopted). Requires: it is one.
    [[nodiscard]] Seat seat(const ModelId& model) const;

    /// True when `other`, if it runs, has to be stopped before `target` may run: they share a group
    /// that swaps, or the target's group is exclusive and the other's is not persistent. Not
    /// symmetric: a target of a non-exclusive group never empties an exclusive one.
    [[nodiscard]] bool evicts(Seat target, Seat other) const;

    /// The ones among `running` that must go for `target`.
    [[nodiscard]] Evictions evictions(Seat target, std::span<const Runner> running) const;

private:
    struct Group {
        std::string id;
        bool swap = true;
        bool exclusive = true;
        bool persistent = false;
    };
    Seat add(const ModelId& model, std::uint32_t group);

    std::vector<Group> groups_;
    std::vector<std::uint32_t> group_of_;  // by seat
    std::unordered_map<ModelId, Seat> seats_;
};

}  // namespace corral
