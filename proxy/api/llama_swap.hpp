#pragma once
// The JSON documents of llama-swap's API as its users' scripts read them: model list, running
// models. Functions of the config and of advisory snapshots; no I/O. Main loop.

#include "core/config.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace corral::api {

/// `GET /v1/models`: {"data":[…],"object":"list"}, sorted by id, without unlisted models; with one
/// record per alias when the config says includeAliasesInList. `created` is seconds since 1970.
[[nodiscard]] std::string models_list(const Config& config, std::span<const ModelStatus> states,
                                      std::chrono::seconds created);

/// `GET /v1/models/{id}`: one record, for an id or an alias; nullopt when there is no such model.
[[nodiscard]] std::optional<std::string> model_record(const Config& config,
                                                      std::span<const ModelStatus> states,
                                                      std::string_view name,
                                                      std::chrono::seconds created);

/// `GET /running`: {"running":[{model,state,cmd,proxy,ttl,name,description}]}, starting, ready and
/// stopping models only. Values of flags that hold secrets are masked in `cmd`.
[[nodiscard]] std::string running_list(const Config& config, std::span<const ModelStatus> states);

/// The command line of a config with secrets masked (--api-key, --hf-token and their like).
[[nodiscard]] std::string masked_command(std::string_view cmd);

}  // namespace corral::api
