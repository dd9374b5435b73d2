#pragma once
// Which models may run together (groups or a matrix), and the names that stand for models:
// profiles, selectors, peers. Plain data of the configuration, checked when it was loaded. Any
// thread.

#include "core/ids.hpp"
#include "core/model_config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace corral {

/// A llama-swap group: which models share one place (swap), which groups empty others (exclusive).
struct GroupConfig {
    std::string id;
    bool swap = true;         ///< at most one member runs at a time
    bool exclusive = true;    ///< starting a member stops models of other non-persistent groups
    bool persistent = false;  ///< other groups never stop its members
    std::vector<ModelId> members;

    friend bool operator==(const GroupConfig&, const GroupConfig&) = default;
};

/// One node of a set's expression, children before parents: a model, or all (`&`) or one (`|`) of
/// the nodes at `children`. References to other sets are resolved: they share nodes.
struct MatrixNode {
    enum class Kind : std::uint8_t { model, all, any };
    Kind kind = Kind::model;
    ModelId model;                        ///< of Kind::model
    std::vector<std::uint32_t> children;  ///< of the others: indexes into MatrixConfig::nodes

    friend bool operator==(const MatrixNode&, const MatrixNode&) = default;
};

/// A set: which combinations of models may run together.
struct MatrixSet {
    std::string name;
    std::string expression;  ///< as written, for messages
    std::uint32_t root = 0;  ///< index into MatrixConfig::nodes

    friend bool operator==(const MatrixSet&, const MatrixSet&) = default;
};

/// What it costs to stop a model, where that is not 1.
struct EvictCost {
    ModelId model;
    std::int64_t cost = 1;

    friend bool operator==(const EvictCost&, const EvictCost&) = default;
};

/// A short name for a model in the sets' expressions.
struct MatrixVar {
    std::string name;
    ModelId model;

    friend bool operator==(const MatrixVar&, const MatrixVar&) = default;
};

/// llama-swap's matrix router: a swap keeps as much as the sets allow.
struct MatrixConfig {
    std::vector<MatrixNode> nodes;
    std::vector<MatrixSet> sets;  ///< in the order in which ties are decided
    std::vector<EvictCost> evict_costs;
    std::vector<MatrixVar> vars;  ///< as written, for who shows the sets; the nodes know no vars

    friend bool operator==(const MatrixConfig&, const MatrixConfig&) = default;
};

enum class RouterKind : std::uint8_t { group, matrix };

/// While a profile is active, a request for `name` goes to `target`; empty: to nobody.
struct ProfilePin {
    std::string name;
    std::string target;

    friend bool operator==(const ProfilePin&, const ProfilePin&) = default;
};

struct ProfileConfig {
    std::string name;
    std::string description;
    std::vector<ProfilePin> pins;

    friend bool operator==(const ProfileConfig&, const ProfileConfig&) = default;
};

enum class SelectorStrategy : std::uint8_t {
    warm,      ///< the first target that is ready, else the first that starts, else the first
    pin,       ///< the first target, always
    spillover  ///< the least busy target; a cold one when all are busy
};

/// A name that stands for one of several models, chosen for each request.
struct SelectorConfig {
    std::string id;
    SelectorStrategy strategy = SelectorStrategy::warm;
    std::vector<std::string> targets;  ///< as written: models' ids or aliases, peers' models
    std::int64_t spillover = 1;        ///< requests that a target takes before the next one starts
    std::string name;
    std::string description;
    bool unlisted = false;
    std::string metadata;  ///< a JSON object; empty: none

    friend bool operator==(const SelectorConfig&, const SelectorConfig&) = default;
};

/// Another server whose models are offered here as `peer/model`.
struct PeerConfig {
    std::string id;
    std::string proxy;    ///< base URL
    std::string api_key;  ///< sent to it in place of the client's; empty: none
    std::vector<std::string> models;
    Filters filters;
    UpstreamTimeouts timeouts;

    friend bool operator==(const PeerConfig&, const PeerConfig&) = default;
};

}  // namespace corral
