#pragma once
// Accepts connections on one address and hands each to a function. Main loop only.

#include "core/error.hpp"
#include "core/listen_address.hpp"
#include "proxy/http/seldom.hpp"
#include "proxy/http/socket_file.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http {

/// What stands for the address of who comes through a Unix socket, in the log and in
/// X-Forwarded-For; nginx says the same.
inline constexpr std::string_view unix_peer = "unix:";

/// Who is at the other end: the address without port, for the log and X-Forwarded-For.
using OnAccept = std::function<void(Socket socket, std::string peer)>;

class Listener {
public:
    /// Binds and listens at once, so that a busy address is an error before anything else starts.
    /// A host name may stand for several addresses: each gets a listener. Errors name the address.
    /// [::] takes IPv4 as well unless `v6_only`. The file of a Unix socket is that listener's: see
    /// socket_file.hpp.
    [[nodiscard]] static Result<std::vector<Listener>> open(const asio::any_io_executor& executor,
                                                            const ListenAddress& address,
                                                            bool v6_only = false);
    /// Takes over a socket that another program has bound and made listen; closes it when it is of
    /// no use. `name` is for messages.
    [[nodiscard]] static Result<Listener> adopt(const asio::any_io_executor& executor,
                                                int descriptor, std::string_view name);

    /// Accepts until stop(). Pauses when descriptors run out; never spins.
    [[nodiscard]] asio::awaitable<void> run(OnAccept on_accept);
    /// Closes the socket: run() returns, and clients that come now are refused by the system.
    void stop();

    /// The address that it listens on, `127.0.0.1:8091` or `unix:/run/corral.sock`.
    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    [[nodiscard]] bool is_unix() const noexcept { return unix_; }
    /// True when nobody but this machine can reach it.
    [[nodiscard]] bool is_local() const noexcept { return local_; }

private:
    Listener(const asio::any_io_executor& executor, int descriptor);
    error_code accept_waiting(const OnAccept& on_accept);
    void tell_pause(const error_code& why);

    asio::posix::stream_descriptor descriptor_;
    std::string address_;
    bool unix_ = false;
    bool local_ = false;
    SocketFile file_;
    Seldom pauses_;  ///< for want of descriptors
};

}  // namespace corral::http
