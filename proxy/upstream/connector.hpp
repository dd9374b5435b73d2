#pragma once
// Opens a connection to an upstream: TCP or a Unix socket, and TLS on it where the URL says https.
// Main loop only.

#include "core/endpoint.hpp"
#include "core/error.hpp"
#include "core/time.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>

namespace corral {

class TlsClient;

/// How a connection is opened. Plain data.
struct ConnectOptions {
    Duration timeout{0};                ///< for the connection, all addresses of its host together
    Duration tls_timeout{0};            ///< for the TLS handshake after that
    std::chrono::seconds keepalive{0};  ///< period of TCP keep-alive; 0: the system's
    TlsClient* tls = nullptr;           ///< outlives the call; needed for https only
};

/// A connected stream with TCP_NODELAY, keep-alive, close-on-exec. Tries every address of a host
/// name in turn. Errors: upstream_unreachable (refused, no such socket, no such host, a certificate
/// that is not accepted), timed_out; the detail names the address and the reason. Cancellable.
/// Parameters by value: it is a coroutine.
[[nodiscard]] boost::asio::awaitable<Result<http::Wire>> connect_upstream(Endpoint endpoint,
                                                                          ConnectOptions options);

}  // namespace corral
