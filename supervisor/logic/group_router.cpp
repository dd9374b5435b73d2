// The group policy; see the header. No state but what the config says.
#include "supervisor/logic/group_router.hpp"

#include <algorithm>

namespace corral {

GroupRouter::GroupRouter(const Config& config) {
    std::unordered_map<ModelId, std::uint32_t> member_of;
    for (const GroupConfig& group : config.groups) {
        const auto index = static_cast<std::uint32_t>(groups_.size());
        groups_.push_back({group.id, group.swap, group.exclusive, group.persistent});
        for (const ModelId& member : group.members) {
            member_of.emplace(member, index);
        }
    }
    const auto rest = static_cast<std::uint32_t>(groups_.size());
    groups_.push_back({"", true, true, false});
    for (const ModelConfig& model : config.models) {
        const auto found = member_of.find(model.id);
        add(model.id, found != member_of.end() ? found->second : rest);
    }
}

Seat GroupRouter::add(const ModelId& model, std::uint32_t group) {
    const auto seat = static_cast<Seat>(group_of_.size());
    group_of_.push_back(group);
    seats_.insert_or_assign(model, seat);
    return seat;
}

Seat GroupRouter::adopt(const GroupRouter& old, Seat old_seat, const ModelId& model) {
    const Group& was = old.groups_.at(old.group_of_.at(old_seat));
    const auto same = std::find_if(groups_.begin(), groups_.end(),
                                   [&](const Group& group) { return group.id == was.id; });
    if (same != groups_.end()) {
        return add(model, static_cast<std::uint32_t>(same - groups_.begin()));
    }
    groups_.push_back(was);
    return add(model, static_cast<std::uint32_t>(groups_.size() - 1));
}

Seat GroupRouter::adopt(const ModelId& model) {
    groups_.push_back({"", true, true, false});
    return add(model, static_cast<std::uint32_t>(groups_.size() - 1));
}

Seat GroupRouter::seat(const ModelId& model) const {
    return seats_.at(model);
}

bool GroupRouter::evicts(Seat target, Seat other) const {
    const std::uint32_t of_target = group_of_[target];
    const std::uint32_t of_other = group_of_[other];
    if (of_target == of_other) {
        return target != other && groups_[of_target].swap;
    }
    return groups_[of_target].exclusive && !groups_[of_other].persistent;
}

Evictions GroupRouter::evictions(Seat target, std::span<const Runner> running) const {
    Evictions out;
    for (std::size_t i = 0; i < running.size(); ++i) {
        if (evicts(target, running[i].seat)) {
            out.positions.push_back(i);
        }
    }
    return out;
}

}  // namespace corral
