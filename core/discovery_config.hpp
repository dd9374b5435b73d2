#pragma once
// What `discovery:` in a config says: where models are looked for, and what is written for those
// that are found. Plain data; `corral scan` and the server's own scans read it. Any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corral {

/// Where a model's id comes from.
enum class NamingRule : std::uint8_t {
    documented,  ///< the file name by the rule of docs/discovery.md
    metadata,    ///< general.name of the file, else as documented
    filename,    ///< the file name without ".gguf"
};

/// An alias for the largest model whose file a pattern matches.
struct AliasRule {
    std::string alias;
    std::string pattern;

    friend bool operator==(const AliasRule&, const AliasRule&) = default;
};

/// What holds for the files that a pattern matches, in place of what scan would choose.
struct DiscoveryOverride {
    std::string pattern;  ///< of the file name, or with a `/` in it of the whole path
    bool skip = false;    ///< nothing is written for it
    std::optional<std::chrono::seconds> ttl;
    std::optional<std::uint64_t> context;     ///< for --ctx-size; 0: as much as it was trained for
    std::optional<std::uint64_t> threads;     ///< for --threads, and the model's limits.threads
    std::optional<std::uint64_t> gpu_layers;  ///< for --n-gpu-layers, and limits.gpuLayers
    std::vector<std::string> arguments;       ///< more words for the command
    std::string name;                         ///< its id; empty: by `naming`

    friend bool operator==(const DiscoveryOverride&, const DiscoveryOverride&) = default;
};

struct DiscoveryConfig {
    std::vector<std::string> directories;  ///< `~` stands for the home; empty: the usual ones
    std::string engine;                    ///< program of every command; empty: as found
    std::chrono::seconds ttl{300};
    NamingRule naming = NamingRule::documented;
    bool openai_aliases = true;
    std::vector<AliasRule> alias_rules;        ///< in the order of the aliases
    bool exclusive_group = true;               ///< one group in which models swap
    bool watch = false;                        ///< the server scans again when files come and go
    std::vector<DiscoveryOverride> overrides;  ///< in the order of the file; later ones win

    friend bool operator==(const DiscoveryConfig&, const DiscoveryConfig&) = default;
};

}  // namespace corral
