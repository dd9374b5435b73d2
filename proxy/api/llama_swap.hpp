#pragma once
// The JSON documents of llama-swap's API as its users' scripts read them: running models, version.
// Functions of the config and of advisory snapshots; no I/O. Main loop. The model list is
// model_list.hpp's, profiles are profiles.hpp's.

#include "core/config.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <span>
#include <string>
#include <string_view>

namespace corral::api {

/// `GET /running`: {"running":[{model,state,cmd,proxy,ttl,name,description}]}, starting, ready and
/// stopping models only. Values of flags that hold secrets are masked in `cmd`.
[[nodiscard]] std::string running_list(const Config& config, std::span<const ModelStatus> states);

/// `GET /api/version`: {"build_date","commit","version"}; the first two are "unknown", so that the
/// same sources give the same program.
[[nodiscard]] std::string version_document();

}  // namespace corral::api
