#pragma once
// Accepts connections on one address and hands each to a function. Main loop only.

#include "core/error.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http {

/// Who is at the other end: the address without port, for the log and X-Forwarded-For.
using OnAccept = std::function<void(Socket socket, std::string peer)>;

class Listener {
public:
    /// Binds and listens at once, so that a busy address is an error before anything else starts.
    /// `address` is HOST:PORT, [V6]:PORT, :PORT (every address) or PORT; port 0 picks a free one.
    /// A host name may stand for several addresses: each gets a listener. Errors name the address.
    [[nodiscard]] static Result<std::vector<Listener>> open(asio::any_io_executor executor,
                                                            std::string_view address);

    /// Accepts until stop(). Pauses when descriptors run out; never spins.
    [[nodiscard]] asio::awaitable<void> run(OnAccept on_accept);
    /// Closes the socket: run() returns, and clients that come now are refused by the system.
    void stop();

    /// The address that it listens on, `127.0.0.1:8091`.
    [[nodiscard]] std::string address() const;
    [[nodiscard]] bool is_loopback() const;

private:
    error_code accept_waiting(const OnAccept& on_accept);
    explicit Listener(asio::ip::tcp::acceptor acceptor) : acceptor_(std::move(acceptor)) {}
    asio::ip::tcp::acceptor acceptor_;
};

}  // namespace corral::http
