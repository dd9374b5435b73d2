#pragma once
// Which web pages may ask Corral (CORS): those of this machine. Which others may is for whoever
// puts Corral on a network to decide, at the edge. Pure; any thread.

#include "proxy/http/answer.hpp"
#include "proxy/http/head_rules.hpp"

#include <string>
#include <string_view>

namespace corral::api {

/// `http://localhost`, `https://127.0.0.1:3000` and their like; no name that only begins so.
[[nodiscard]] bool is_local_origin(std::string_view origin) noexcept;

/// Lets the page that asks read the answer, when it is of this machine.
void allow_reading(const http::RequestHead& head, http::Answer& answer);

/// The answer to every OPTIONS: 204, and for a page of this machine what it may send. The fields
/// that it asks for are echoed, without what is no field's name.
[[nodiscard]] http::Answer preflight(const http::RequestHead& head);

}  // namespace corral::api
