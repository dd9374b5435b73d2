#pragma once
// GET /api/models: what every model does now, and why the last start or run of one failed. Pure;
// any thread.

#include "core/config.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <span>
#include <string>

namespace corral::api {

/// `{"models":[{"id","name","state","since","in_flight","waiting","failures","retry_after",
/// "failure"}]}` in the order of the config. `state` is one of stopped, starting, ready, stopping,
/// failed, closed; `failure` is null or what the error body has, and its `message`.
[[nodiscard]] std::string model_states(const Config& config, std::span<const ModelStatus> states);

}  // namespace corral::api
