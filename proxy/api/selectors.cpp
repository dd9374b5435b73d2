#include "proxy/api/selectors.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace corral::api {
namespace {

/// The state of the target's process; nothing when another server runs it.
std::optional<ProcessState> state_of_target(std::string_view target, const Config& config,
                                            const StateOf& state_of) {
    const ModelConfig* model = config.find(target);
    return model != nullptr ? std::optional(state_of(model->id)) : std::nullopt;
}

std::string_view warmest(const SelectorConfig& selector, const Config& config,
                         const StateOf& state_of) {
    std::string_view starting;
    for (const std::string& target : selector.targets) {
        const auto state = state_of_target(target, config, state_of);
        if (state == ProcessState::ready) {
            return target;
        }
        if (state == ProcessState::starting && starting.empty()) {
            starting = target;
        }
    }
    return starting.empty() ? std::string_view(selector.targets.front()) : starting;
}

/// What a target is to a spillover: it takes requests, it would have to start, or neither.
enum class Place : std::uint8_t { active, cold, none };

Place place_of(std::optional<ProcessState> state, std::uint32_t requests) {
    if (state == ProcessState::stopping || state == ProcessState::closed) {
        return Place::none;
    }
    const bool runs = state == ProcessState::ready || state == ProcessState::starting;
    return runs || requests > 0 ? Place::active : Place::cold;
}

/// The least busy of those that run while it is not full, else the first that would have to start,
/// else the least busy. Of equally busy ones the one whose turn is the longest ago.
std::optional<std::string_view> spill(const SelectorConfig& selector, const Config& config,
                                      const StateOf& state_of, const SelectorLoads& loads) {
    std::optional<std::string_view> idlest;
    std::optional<std::string_view> cold;
    SelectorLoads::Load least;
    for (const std::string& target : selector.targets) {
        const auto load = loads.of(selector.id, target);
        const Place place = place_of(state_of_target(target, config, state_of), load.requests);
        if (place == Place::cold && !cold) {
            cold = target;
        }
        const bool less = std::pair(load.requests, load.last_chosen) <
                          std::pair(least.requests, least.last_chosen);
        if (place == Place::active && (!idlest || less)) {
            idlest = target;
            least = load;
        }
    }
    const bool full = !idlest || static_cast<std::int64_t>(least.requests) >= selector.spillover;
    return full && cold ? cold : idlest;
}

}  // namespace

SelectorLoads::Reservation::Reservation(Load& load) noexcept : load_(&load) {
    ++load_->requests;
}

SelectorLoads::Reservation::Reservation(Reservation&& other) noexcept
    : load_(std::exchange(other.load_, nullptr)) {}

SelectorLoads::Reservation& SelectorLoads::Reservation::operator=(Reservation&& other) noexcept {
    std::swap(load_, other.load_);
    return *this;
}

SelectorLoads::Reservation::~Reservation() {
    if (load_ != nullptr) {
        --load_->requests;
    }
}

SelectorLoads::Load SelectorLoads::of(std::string_view selector, std::string_view target) const {
    const auto targets = loads_.find(selector);
    if (targets == loads_.end()) {
        return {};
    }
    const auto load = targets->second.find(target);
    return load != targets->second.end() ? load->second : Load{};
}

SelectorLoads::Reservation SelectorLoads::reserve(std::string_view selector,
                                                  std::string_view target) {
    Load& load = loads_[std::string(selector)][std::string(target)];
    load.last_chosen = ++choices_;
    return Reservation(load);
}

Result<std::string_view> choose_target(const SelectorConfig& selector, const Config& config,
                                       const StateOf& state_of, const SelectorLoads& loads) {
    std::optional<std::string_view> chosen;
    if (!selector.targets.empty()) {
        switch (selector.strategy) {
            case SelectorStrategy::warm:
                chosen = warmest(selector, config, state_of);
                break;
            case SelectorStrategy::pin:
                chosen = selector.targets.front();
                break;
            case SelectorStrategy::spillover:
                chosen = spill(selector, config, state_of, loads);
                break;
        }
    }
    if (!chosen) {
        return Error(Errc::overloaded, Blame::internal,
                     "selector \"" + selector.id + "\" has no available " +
                         (selector.strategy == SelectorStrategy::spillover ? "spillover " : "") +
                         "targets");
    }
    return *chosen;
}

bool is_selector_loaded(const SelectorConfig& selector, const Config& config,
                        const StateOf& state_of) {
    const bool first_only = selector.strategy == SelectorStrategy::pin;
    const std::span<const std::string> considered(
        selector.targets.data(),
        first_only ? std::min<std::size_t>(1, selector.targets.size()) : selector.targets.size());
    return std::any_of(considered.begin(), considered.end(), [&](const std::string& target) {
        const auto state = state_of_target(target, config, state_of);
        return state == ProcessState::ready || state == ProcessState::starting;
    });
}

}  // namespace corral::api
