#pragma once
// What the parts of the loader share while one file is read, and the parts themselves, in the order
// in which load_config() calls them. One thread.

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/load/key_check.hpp"
#include "core/load/keys.hpp"
#include "core/load/macros.hpp"
#include "core/load/report.hpp"
#include "core/load/yaml_scalar.hpp"
#include "core/load/yaml_tree.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace corral::load {

/// Another name for a model, as it is written somewhere in it.
struct WrittenName {
    std::size_t model;  ///< its place in Config::models
    PlacedText name;
};

/// What a name of a peer's model leads to.
struct PeerName {
    std::string full;       ///< `peer/model`; empty: several peers have a model of this name
    bool is_full = false;   ///< the name itself is `peer/model`
    std::string described;  ///< for messages
};

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
    bool send_loading_state = false;
    std::chrono::milliseconds loading_keep_alive{0};
    std::size_t command_words_left = 1'000'000;  ///< of all commands: a word takes 32 bytes or more
    bool command_words_spent = false;            ///< one was refused, so the others are not split
    std::uint32_t next_port = 0;                 ///< for the next ${PORT}; 0: startPort
    bool ports_used_up = false;
    std::unordered_map<std::string, std::string> aliases;  ///< alias → id of its model
    std::vector<WrittenName> written_aliases;              ///< of `aliases:`
    std::vector<WrittenName> requested_ids;                ///< of `filters.setParamsByID`
    std::unordered_map<std::string, PeerName> peer_names;  ///< full and bare ones
    std::unordered_set<std::string> selector_ids;

    /// A reader of what belongs to the file itself.
    [[nodiscard]] Reader reader() { return {report, globals, budget}; }
    /// The id that a name or alias stands for; empty when there is no such model.
    [[nodiscard]] ModelId resolve(const std::string& name) const;
    /// The full name of the peer's model that a name stands for; empty when there is none, or
    /// several.
    [[nodiscard]] std::string resolve_peer(const std::string& name) const;
    /// The model with this id, to be completed; nullptr when there is none.
    [[nodiscard]] ModelConfig* model(const ModelId& id);
    /// `did you mean "x"?` with the nearest name of a model; empty when none is near.
    [[nodiscard]] std::string nearest_model(std::string_view name) const;
};

/// Defines the macros of a `macros:` mapping in `scope`. `place` begins the messages: "" or
/// "model m: ".
void read_macros(const Node& macros, const std::string& place, MacroScope& scope, Report& report);

void read_globals(Loading& loading);
/// allowedHosts, allowedOrigins, trustedProxies.
void read_access(Loading& loading);
/// What is kept and shown of what happens: logs, activity, captures, performance, the page.
void read_records(Loading& loading);
/// upstream.ignorePaths.
void read_upstream(Loading& loading);
void read_limits(Loading& loading);
void read_discovery(Loading& loading);
/// Models, their aliases and ports.
void read_models(Loading& loading);
/// One model in its scope; its names are only collected.
[[nodiscard]] ModelConfig read_model(Loading& loading, const std::string& id, const Node& node);
/// The next port for ${PORT}. `mark` is the model that asks for it.
[[nodiscard]] std::uint16_t take_port(Loading& loading, Mark mark);
/// Warns of models that would listen at the same fixed place.
void check_fixed_ports(Loading& loading, const Node& models);
/// `filters:` at `path` of a model or peer. The keys of setParamsByID go to `ids`, macros expanded.
[[nodiscard]] Filters read_filters(Reader& reader, const Node& filters, const std::string& path,
                                   std::vector<PlacedText>& ids);
/// `timeouts:` at `path` of a model or peer; what is not written stays as in `defaults`.
[[nodiscard]] UpstreamTimeouts read_upstream_timeouts(Reader& reader, const Node& timeouts,
                                                      const std::string& path,
                                                      UpstreamTimeouts defaults);
/// `limits:` of a model, after its command: warns where the two contradict each other.
[[nodiscard]] ModelLimits read_model_limits(Reader& reader, const Node& limits,
                                            const std::vector<std::string>& argv);
/// `capabilities:` of a model.
[[nodiscard]] Capabilities read_capabilities(Reader& reader, const Node& capabilities);
/// `metadata:` at `path` of a model or selector, as one JSON object; empty when there is none.
[[nodiscard]] std::string read_metadata(Reader& reader, const Node& metadata,
                                        const std::string& path);
/// Groups, wherever they stand, and the group "(default)".
void read_groups(Loading& loading);
/// The matrix, after read_groups has said whether it is the one that decides.
void read_matrix(Loading& loading);
/// routing.scheduler, after the models are known.
void read_scheduler(Loading& loading);
/// Peers and the names of their models, after the models are known.
void read_peers(Loading& loading);
/// Selectors, after groups and peers.
void read_selectors(Loading& loading);
/// Profiles, after selectors.
void read_profiles(Loading& loading);
/// hooks.on_startup.preload, after the models are known.
void read_preload(Loading& loading);

/// The entries of a mapping in the order of their keys, byte by byte.
[[nodiscard]] std::vector<Entry> in_order(const Node& map);

/// Without the blanks around it.
[[nodiscard]] std::string trimmed(std::string_view text);

/// Seconds from a number of the file, capped with a warning to what a clock can add.
[[nodiscard]] std::chrono::seconds capped_seconds(std::int64_t value, Mark mark,
                                                  std::string_view place, Report& report);

/// A number of seconds, or a text with a unit.
[[nodiscard]] Result<std::chrono::milliseconds> to_duration(const Value& value);

/// An interval of the file, bounds as in the table of keys: 0 for none, nullopt as Reader has it.
[[nodiscard]] std::optional<std::chrono::milliseconds> read_interval(Reader& reader,
                                                                     const Node& node,
                                                                     const Key& key);

/// The node at a path of keys below `from`, or nullptr when it or anything above it is missing.
[[nodiscard]] const Node* node_at(const Node& from, std::initializer_list<std::string_view> path);

}  // namespace corral::load
