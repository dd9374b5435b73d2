#pragma once
// Where files live: as a service below /etc, /var/lib and /run; as a plain user by the XDG base
// directory specification. Pure but for looking whether a file exists. Main thread.

#include "core/config_load.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace corral {

/// The places where a config is looked for when none was named, best first: $CORRAL_CONFIG,
/// $XDG_CONFIG_HOME/corral/config.yaml (~/.config by default), /etc/corral/config.yaml, and the
/// state directory ($STATE_DIRECTORY as set by systemd, else $XDG_STATE_HOME/corral).
[[nodiscard]] std::vector<std::filesystem::path> config_candidates(
    const EnvironmentLookup& environment);

/// Where supervisor/launch/leftovers.hpp keeps its notes, below state_directory()
/// (discovery/sources.hpp); empty: nowhere.
[[nodiscard]] std::string leftovers_directory(const EnvironmentLookup& environment);

/// The process's environment as the lookup that pure code takes.
[[nodiscard]] EnvironmentLookup process_environment();

}  // namespace corral
