#pragma once
// What a Wire does where its socket meets TLS: bytes from the one to the other, plaintext from
// buffers into records. All arguments are borrowed for the length of the call. Main loop only.

#include "proxy/http/input_buffer.hpp"
#include "proxy/http/tls_layer.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include <optional>
#include <span>

namespace corral::http {

/// The handshake. Fails with the socket's error, or with a TlsErrc: tls.failure() says more then.
[[nodiscard]] boost::asio::awaitable<boost::system::error_code> shake_hands(
    boost::asio::generic::stream_protocol::socket& socket, TlsLayer& tls);

/// Plaintext of what has come, to `in`: no error, what ended the stream, or no_buffer_space.
/// nullopt: for any of that, more has to come; then no empty buffer is held.
[[nodiscard]] std::optional<boost::system::error_code> decrypt(TlsLayer& tls, InputBuffer& in);

/// Encrypts all of the buffers and sends it, a few records at a time.
[[nodiscard]] boost::asio::awaitable<boost::system::error_code> write_encrypted(
    boost::asio::generic::stream_protocol::socket& socket, TlsLayer& tls,
    std::span<const boost::asio::const_buffer> buffers);

/// Hands what the socket has to TLS, without waiting. False when that is nothing, or its end.
bool receive_now(int fd, TlsLayer& tls);

/// True when what waits in the socket begins as a request of plain HTTP does. Takes nothing.
[[nodiscard]] bool speaks_plain_http(int fd);

/// Tells the other side that nothing more comes, if the socket takes that at once. Requires: no
/// write is under way, and none has failed in the middle of a record.
void send_end(int fd, TlsLayer& tls);

}  // namespace corral::http
