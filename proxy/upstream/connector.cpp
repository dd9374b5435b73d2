#include "proxy/upstream/connector.hpp"

#include "proxy/http/tls_layer.hpp"
#include "proxy/http/tls_stream.hpp"
#include "proxy/upstream/tls_context.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <fcntl.h>
#include <memory>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <utility>
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

void give_up_after(const std::shared_ptr<Attempt>& attempt, Duration timeout) {
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
}

/// A server that has vanished without a word is noticed by the system's probes.
void set_tcp_options(Socket& socket, std::chrono::seconds keepalive) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    if (keepalive > std::chrono::seconds(0)) {
        constexpr std::int64_t seconds_max = 32767;  // of the system
        const int period = static_cast<int>(std::min<std::int64_t>(keepalive.count(), seconds_max));
        const int fd = socket.native_handle();
        ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &period, sizeof period);
        ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &period, sizeof period);
    }
}

/// Connects the attempt's socket to the first address that answers.
asio::awaitable<error_code> connect_any(std::shared_ptr<Attempt> attempt, Endpoint endpoint) {
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
        attempt->socket = Socket(attempt->socket.get_executor());
        attempt->socket.open(address.protocol(), last);
        if (last || attempt->late) {
            continue;
        }
        // Asio sets no close-on-exec: another model's server would inherit the connection.
        ::fcntl(attempt->socket.native_handle(), F_SETFD, FD_CLOEXEC);
        const auto [ec] = co_await attempt->socket.async_connect(address, as_values);
        last = ec;
        if (!ec || attempt->late || ec == asio::error::operation_aborted) {
            break;
        }
    }
    co_return last;
}

}  // namespace

asio::awaitable<Result<http::Wire>> connect_upstream(Endpoint endpoint, ConnectOptions options) {
    const auto executor = co_await asio::this_coro::executor;
    const auto attempt = std::make_shared<Attempt>(executor);
    give_up_after(attempt, options.timeout);
    const error_code unconnected = co_await connect_any(attempt, endpoint);
    attempt->timer.cancel();
    if (unconnected || attempt->late) {
        co_return unreachable(endpoint, attempt->late ? "no answer in time" : unconnected.message(),
                              attempt->late);
    }
    if (endpoint.unix_path.empty()) {
        set_tcp_options(attempt->socket, options.keepalive);
    }
    if (!endpoint.tls) {
        co_return http::Wire(std::move(attempt->socket));
    }
    auto tls = options.tls->start(endpoint);
    if (!tls) {
        co_return tls.error();
    }
    give_up_after(attempt, options.tls_timeout);
    const error_code failed = co_await http::shake_hands(attempt->socket, **tls);
    attempt->timer.cancel();
    if (failed || attempt->late) {
        const std::string& said = (*tls)->failure();
        const std::string why = said.empty() ? failed.message() : said;
        co_return unreachable(endpoint, attempt->late ? "no TLS handshake in time" : "TLS: " + why,
                              attempt->late);
    }
    co_return http::Wire(std::move(attempt->socket), std::move(*tls));
}

}  // namespace corral
