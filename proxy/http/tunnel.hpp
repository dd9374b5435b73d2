#pragma once
// What follows a 101: the two connections joined, bytes both ways, until both sides have ended or
// one has failed. Knows nothing of what is spoken there. Main loop only.

#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

namespace corral::http {

/// Carries bytes both ways until both sides have ended or one has failed; what was read together
/// with the heads is carried, too. Both are borrowed from the exchange's frame, which outlives it.
[[nodiscard]] asio::awaitable<void> run_tunnel(Wire& upstream, Wire& client);

}  // namespace corral::http
