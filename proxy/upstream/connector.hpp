#pragma once
// Opens a connection to a model's server, over TCP or a Unix socket. Main loop only.

#include "core/endpoint.hpp"
#include "core/error.hpp"
#include "core/time.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

namespace corral {

/// A connected stream with TCP_NODELAY, close-on-exec. Tries every address of a host name in turn.
/// Errors: upstream_unreachable (refused, no such socket, no such host), timed_out; the detail
/// names the address and the reason. Cancellable. Parameters by value: it is a coroutine.
[[nodiscard]] boost::asio::awaitable<Result<http::Wire>> connect_upstream(Endpoint endpoint,
                                                                          Duration timeout);

}  // namespace corral
