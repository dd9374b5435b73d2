#pragma once
// API keys: who may use what. Pure; any thread.

#include "proxy/http/fields.hpp"

#include <span>
#include <string>

namespace corral::api {

/// True when no keys are configured, or the request carries one of them: the password of
/// `Authorization: Basic`, else `Bearer`, else `x-api-key`; exactly one candidate is looked at.
/// Every key is compared, in time that does not depend on how much of it is right.
[[nodiscard]] bool is_authorized(const http::Fields& fields, std::span<const std::string> keys);

}  // namespace corral::api
