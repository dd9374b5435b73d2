#pragma once
// A model's failure as it stands in JSON, of error bodies and of lists. Pure; any thread.

#include "core/failure.hpp"

#include <nlohmann/json_fwd.hpp>

namespace corral::http {

/// `{"class":…,"status":…,"last_lines":[…],"hint":…}`, and `retry_after` in seconds where it rests.
/// Foreign text in it is made safe.
[[nodiscard]] nlohmann::ordered_json failure_json(const Failure& failure);

}  // namespace corral::http
