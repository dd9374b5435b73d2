// The table of keys: which models may run together, who goes first, and the names that stand for
// models.
#include "core/load/keys.hpp"

#include <array>

namespace corral::load {
namespace {

using enum Shape;

constexpr std::array of_group{
    Key{"swap", boolean, "true", "at most one member runs; the others are stopped for it"},
    Key{"exclusive", boolean, "true",
        "starting a member stops the models of all other groups that are not persistent"},
    Key{"persistent", boolean, "false", "no other group stops its members"},
    Key{"members", texts, "[]", "models; in one group at most",
        Traits{.compared = "an alias stands for its model, with a warning; llama-swap ignores it"}},
};

constexpr std::array of_matrix{
    Key{"vars", texts_by_name, "{}", "short name → model, for the sets",
        Traits{.names = "^[a-zA-Z0-9.-]{1,32}$"}},
    Key{"evict_costs", integers_by_name, "{}",
        "short name or model → what it costs to stop it; 1 for the others", Traits{.least = 1}},
    Key{"sets", texts_by_name, "",
        "name → models that may run together: `a & b` both, `a | b` one of them, `+name` another "
        "set, parentheses",
        Traits{.required = true, .least = 1}},
};

constexpr std::array of_router_settings{
    Key{"groups", named, "{}", "name → group, see below", Traits{.members = group_keys}},
    Key{"matrix", mapping, "", "sets of models that may run together, see below",
        Traits{.members = matrix_keys}},
};
std::span<const Key> router_settings_keys() noexcept {
    return of_router_settings;
}

constexpr std::array<std::string_view, 2> routers{"group", "matrix"};
constexpr std::array of_router{
    Key{"use", word, "group", "whose rules hold: those of the groups or those of the matrix",
        Traits{.words = routers}},
    Key{"settings", mapping, "{}", "of both, whichever is used",
        Traits{.members = router_settings_keys}},
};
std::span<const Key> router_keys() noexcept {
    return of_router;
}

constexpr std::array of_fifo{
    Key{"priority", integers_by_name, "{}",
        "model → rank of its requests in the queue; higher goes first, 0 for the others",
        Traits{.compared = "an alias stands for its model, with a warning; llama-swap ignores it"}},
};
std::span<const Key> fifo_keys() noexcept {
    return of_fifo;
}

constexpr std::array of_scheduler_settings{
    Key{"fifo", mapping, "{}", "of the scheduler `fifo`", Traits{.members = fifo_keys}},
};
std::span<const Key> scheduler_settings_keys() noexcept {
    return of_scheduler_settings;
}

constexpr std::array<std::string_view, 1> schedulers{"fifo"};
constexpr std::array of_scheduler{
    Key{"use", word, "fifo", "the order of requests that wait: by priority, then as they came",
        Traits{.words = schedulers}},
    Key{"settings", mapping, "{}", "of the scheduler", Traits{.members = scheduler_settings_keys}},
};
std::span<const Key> scheduler_keys() noexcept {
    return of_scheduler;
}

constexpr std::array of_routing{
    Key{"router", mapping, "{}", "which models may run together", Traits{.members = router_keys}},
    Key{"scheduler", mapping, "{}", "which request goes first", Traits{.members = scheduler_keys}},
};

constexpr std::array of_profile{
    Key{"description", text, "", "for people who choose a profile"},
    Key{"pins", texts_by_name, "",
        "name of a model → model, alias, selector or peer's model that answers in its place; "
        "nothing: nobody answers",
        Traits{.required = true, .least = 1}},
};

constexpr std::array<std::string_view, 3> strategies{"warm", "pin", "spillover"};
constexpr std::array of_selector_settings{
    Key{"spillover", integer, "1", "requests that a target takes before the next one is used",
        Traits{.least = 1}},
};
std::span<const Key> selector_settings_keys() noexcept {
    return of_selector_settings;
}
constexpr std::array of_selector{
    Key{"strategy", word, "",
        "`warm`: the first target that runs, else the first; `pin`: the first; `spillover`: the "
        "least busy",
        Traits{.required = true, .words = strategies}},
    Key{"targets", texts, "", "models, aliases or peers' models, the best first",
        Traits{.required = true, .least = 1}},
    Key{"settings", mapping, "{}", "of the strategy", Traits{.members = selector_settings_keys}},
    Key{"name", text, "", "for people who list the models"},
    Key{"description", text, "", "for people who list the models"},
    Key{"unlisted", boolean, "false", "usable, but not in `/v1/models`"},
    Key{"metadata", anything_by_name, "{}", "shown by `/v1/models`"},
};

}  // namespace

std::span<const Key> group_keys() noexcept {
    return of_group;
}
std::span<const Key> matrix_keys() noexcept {
    return of_matrix;
}
std::span<const Key> routing_keys() noexcept {
    return of_routing;
}
std::span<const Key> profile_keys() noexcept {
    return of_profile;
}
std::span<const Key> selector_keys() noexcept {
    return of_selector;
}

}  // namespace corral::load
