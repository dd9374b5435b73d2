#include "proxy/upstream/connector.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <memory>
#include <string>
#include <vector>

namespace corral {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using http::Socket;
using Address = asio::generic::stream_protocol::endpoint;
constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

Error unreachable(const Endpoint& endpoint, std::string_view why, bool late) {
    return {late ? Errc::timed_out : Errc::upstream_unreachable, Blame::upstream,
            "cannot connect to the model's server at " +
                (endpoint.unix_path.empty() ? endpoint.authority() : endpoint.unix_path) + ": " +
                std::string(why)};
}

/// `localhost` means the loopback addresses here as everywhere; no resolver is needed for it.
std::vector<Address> literal_addresses(const Endpoint& endpoint) {
    if (!endpoint.unix_path.empty()) {
        return {Address(asio::local::stream_protocol::endpoint(endpoint.unix_path))};
    }
    using asio::ip::tcp;
    if (endpoint.host == "localhost") {
        return {Address(tcp::endpoint(asio::ip::address_v4::loopback(), endpoint.port)),
                Address(tcp::endpoint(asio::ip::address_v6::loopback(), endpoint.port))};
    }
    error_code ec;
    const auto address = asio::ip::make_address(endpoint.host, ec);
    if (ec) {
        return {};
    }
    return {Address(tcp::endpoint(address, endpoint.port))};
}

/// The timer closes whatever socket is being connected.
struct Attempt {
    explicit Attempt(asio::any_io_executor ex) : socket(ex), resolver(ex), timer(ex) {}
    Socket socket;
    asio::ip::tcp::resolver resolver;
    asio::steady_timer timer;
    bool late = false;
};

}  // namespace

asio::awaitable<Result<http::Wire>> connect_upstream(Endpoint endpoint, Duration timeout) {
    const auto executor = co_await asio::this_coro::executor;
    const auto attempt = std::make_shared<Attempt>(executor);
    attempt->timer.expires_after(timeout);
    attempt->timer.async_wait([weak = std::weak_ptr<Attempt>(attempt)](error_code ec) {
        const auto self = weak.lock();
        if (ec || !self) {
            return;
        }
        self->late = true;
        error_code ignored;
        self->socket.close(ignored);
        self->resolver.cancel();
    });
    error_code last = asio::error::host_not_found;
    auto addresses = literal_addresses(endpoint);
    if (addresses.empty()) {
        const std::string port = std::to_string(endpoint.port);
        auto [ec, found] = co_await attempt->resolver.async_resolve(endpoint.host, port, as_values);
        last = ec ? ec : last;
        for (const auto& entry : found) {
            addresses.emplace_back(entry.endpoint());
        }
    }
    for (const auto& address : addresses) {
        attempt->socket = Socket(executor);
        attempt->socket.open(address.protocol(), last);
        if (last || attempt->late) {
            continue;
        }
        // Asio sets no close-on-exec: another model's server would inherit the connection.
        ::fcntl(attempt->socket.native_handle(), F_SETFD, FD_CLOEXEC);
        const auto [ec] = co_await attempt->socket.async_connect(address, as_values);
        last = ec;
        if (!ec) {
            if (endpoint.unix_path.empty()) {
                error_code ignored;
                attempt->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
            }
            attempt->timer.cancel();
            co_return http::Wire(std::move(attempt->socket));
        }
        if (attempt->late || ec == asio::error::operation_aborted) {
            break;
        }
    }
    attempt->timer.cancel();
    co_return unreachable(endpoint, attempt->late ? "no answer in time" : last.message(),
                          attempt->late);
}

}  // namespace corral
