#pragma once
// GET /metrics, where no model is named. Main loop only.

#include "proxy/activity/metrics.hpp"
#include "proxy/http/answer.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <cstddef>

namespace corral::api {

/// The page for a Prometheus server; 503 where the config switches it off (performance.disabled).
[[nodiscard]] http::Answer metrics_answer(activity::Metrics& metrics, const Fleet& fleet,
                                          std::size_t connections);

}  // namespace corral::api
