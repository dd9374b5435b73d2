#pragma once
// What the parts of the loader share while one file is read, and the parts themselves, in the order
// in which load_config() calls them. One thread.

#include "core/config.hpp"
#include "core/load/key_check.hpp"
#include "core/load/macros.hpp"
#include "core/load/report.hpp"
#include "core/load/yaml_tree.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace corral::load {

struct Loading {
    Loading(Report& r, const Node& top) : report(r), root(top) {}

    Report& report;
    const Node& root;  ///< a map
    MacroScope globals;
    MacroBudget budget;
    KeyCheck keys;
    Config config;
    std::chrono::seconds global_ttl{0};
    std::chrono::seconds unload_timeout{10};
    std::chrono::seconds health_check_timeout{120};
    std::unordered_map<std::string, std::string> aliases;  ///< alias → id of its model

    /// A reader of what belongs to the file itself.
    [[nodiscard]] Reader reader() { return {report, globals, budget}; }
    /// The id that a name or alias stands for; empty when there is no such model.
    [[nodiscard]] ModelId resolve(const std::string& name) const;
};

/// Defines the macros of a `macros:` mapping in `scope`. `place` begins the messages: "" or
/// "model m: ".
void read_macros(const Node& macros, const std::string& place, MacroScope& scope, Report& report);

void read_globals(Loading& loading);
void read_limits(Loading& loading);
/// Models, their aliases and ports.
void read_models(Loading& loading);
/// One model in its scope, but for its port.
[[nodiscard]] ModelConfig read_model(Loading& loading, const std::string& id, const Node& node);
/// Gives the model another name, unless one has it already.
void add_alias(Loading& loading, ModelConfig& model, const std::string& alias, Mark mark);
/// Groups, wherever they stand, and the group "(default)".
void read_groups(Loading& loading);
/// hooks.on_startup.preload, after the models are known.
void read_preload(Loading& loading);
/// What llama-swap refuses in the keys that have no effect yet.
void check_later_keys(Loading& loading);

/// Seconds from a number of the file, capped with a warning to what a clock can add.
[[nodiscard]] std::chrono::seconds capped_seconds(std::int64_t value, Mark mark,
                                                  std::string_view place, Report& report);

/// The node at a path of keys below `from`, or nullptr when it or anything above it is missing.
[[nodiscard]] const Node* node_at(const Node& from, std::initializer_list<std::string_view> path);

}  // namespace corral::load
