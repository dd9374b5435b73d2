#pragma once
// What the filters of a model or peer change in one request's JSON body. Pure; any thread.

#include "core/error.hpp"
#include "core/model_config.hpp"
#include "proxy/http/json_edit.hpp"

#include <string_view>
#include <vector>

namespace corral::http {

/// The edits in llama-swap's order: stripParams, setParams, then setParamsByID of `asked_for`, the
/// id or alias that the request asked for. Empty: the body passes as it is. `model` and what is
/// below it never change, since the request went by it. A setting whose path names several places
/// is left out (loading the config has warned of it). Error: internal for a parameter that cannot
/// be stripped for that reason, as in llama-swap: it must not pass as if it had been.
[[nodiscard]] Result<std::vector<JsonEdit>> filter_edits(const Filters& filters,
                                                         std::string_view asked_for);

}  // namespace corral::http
