#pragma once
// What a person reads when the server is up: one line to paste. Pure; any thread.

#include "core/config.hpp"

#include <string>
#include <string_view>

namespace corral {

/// The lines that `serve` prints on standard output once it listens on `address`: a curl command
/// that answers, or what to do when there is no model. `address` is http://HOST:PORT, where an
/// unspecified host becomes 127.0.0.1, or https://, or unix:/path.
[[nodiscard]] std::string welcome(const Config& config, std::string_view address);

}  // namespace corral
