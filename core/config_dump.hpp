#pragma once
// A loaded Config shown as a file: llama-swap's keys (and Corral's `limits`), every one of them,
// with macros expanded, aliases resolved and defaults filled in. For people and for tests. Pure;
// any thread.

#include "core/config.hpp"

#include <string>

namespace corral {

/// The configuration as one JSON object, indented. `${PORT}`, and `${PID}` in cmdStop, stay as they
/// are. Times are whole seconds, but for `performance.every` and `limits`, which say their unit.
/// Secrets are `***` (core/secrets.hpp). What is derived from the rest (the group "(default)",
/// ports) and what became part of each model (macros, globalTTL, the global time-outs) is not in
/// it.
[[nodiscard]] std::string dump_config_json(const Config& config);

/// The same as YAML. load_config() makes an equal Config of it, but for `origin` and secrets.
[[nodiscard]] std::string dump_config_yaml(const Config& config);

}  // namespace corral
