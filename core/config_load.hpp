#pragma once
// From YAML text to a Config, with every mistake pointed at. Pure: the text and the environment
// come in as values. Accepts the files of llama-swap; see docs/configuration.md. Any thread.

#include "core/config.hpp"
#include "core/diagnostic.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// Looks up an environment variable for ${env.NAME}; nullopt when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string&)>;

struct ConfigLoad {
    std::optional<Config> config;         ///< absent when the file cannot be used at all
    std::vector<Diagnostic> diagnostics;  ///< in the order of the file
};

/// One config file: how messages name it, and its bytes.
struct ConfigText {
    std::string name;
    std::string text;
};

/// Reads a whole configuration. `origin` names the file in diagnostics. A mistake that llama-swap
/// refuses too is an error and leaves `config` empty; what it accepts in silence is a warning.
/// Bounded: at most 16 MiB of text, 64 levels, 500,000 nodes counting each use of an alias.
[[nodiscard]] ConfigLoad load_config(std::string_view yaml, std::string_view origin,
                                     const EnvironmentLookup& environment);

/// The same for several files that are one configuration (--config first, then those of
/// --config-dir), merged as llama-swap does: mappings merge, lists are joined, and two files that
/// say different things are an error at both places. The bounds are for all of them together, but
/// for that of the text. Anchors are those of one file; ${env.NAME} is put in once.
[[nodiscard]] ConfigLoad load_config(std::span<const ConfigText> files,
                                     const EnvironmentLookup& environment);

}  // namespace corral
