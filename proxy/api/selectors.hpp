#pragma once
// Selectors: names that stand for one of several models, chosen anew for each request. The choice
// is a function of states and loads; the loads are counted here. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace corral::api {

/// The state of a model's process as far as it is known. Advisory: who is chosen by it may have to
/// wait nevertheless.
using StateOf = std::function<ProcessState(const ModelId&)>;

/// What each spillover selector has under way at each of its targets.
class SelectorLoads {
public:
    struct Load {
        std::uint32_t requests = 0;     ///< under way
        std::uint64_t last_chosen = 0;  ///< ranks choices by age; 0: never
    };

    /// One request under way; its destruction is the request's end. Outlived by the loads.
    class Reservation {
    public:
        Reservation() = default;
        explicit Reservation(Load& load) noexcept;
        Reservation(Reservation&& other) noexcept;
        Reservation& operator=(Reservation&& other) noexcept;
        ~Reservation();

    private:
        Load* load_ = nullptr;
    };

    [[nodiscard]] Load of(std::string_view selector, std::string_view target) const;
    [[nodiscard]] Reservation reserve(std::string_view selector, std::string_view target);

private:
    // Entries stay when they are at rest: reservations point to them, and a config has few.
    std::map<std::string, std::map<std::string, Load, std::less<>>, std::less<>> loads_;
    std::uint64_t choices_ = 0;
};

/// The target for the next request, one of selector.targets. Error: overloaded (503) when every
/// target of a spillover is stopping.
[[nodiscard]] Result<std::string_view> choose_target(const SelectorConfig& selector,
                                                     const Config& config, const StateOf& state_of,
                                                     const SelectorLoads& loads);

/// True for the model list when a request would find a target loaded or loading.
[[nodiscard]] bool is_selector_loaded(const SelectorConfig& selector, const Config& config,
                                      const StateOf& state_of);

}  // namespace corral::api
