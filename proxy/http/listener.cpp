#include "proxy/http/listener.hpp"

#include "core/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace corral::http {
namespace {

namespace ip = asio::ip;
constexpr auto as_values = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds out_of_descriptors_pause{100};
/// One client for each turn of the loop is too few: a turn serves many, and takes as long.
constexpr int accepts_at_once_max = 64;
constexpr int bind_pause_ms = 10;
constexpr int bind_tries_max = 100;  // for a second

struct HostPort {
    std::string host;
    std::string port;
};

Error bad_address(std::string_view address, std::string_view why) {
    return {Errc::invalid_config, Blame::internal,
            "cannot listen on \"" + std::string(address) + "\": " + std::string(why)};
}

std::optional<HostPort> split_address(std::string_view address) {
    HostPort out;
    const auto colon = address.rfind(':');
    out.port = colon == std::string_view::npos ? address : address.substr(colon + 1);
    if (colon != std::string_view::npos) {
        std::string_view host = address.substr(0, colon);
        if (host.starts_with('[') && host.ends_with(']')) {
            host = host.substr(1, host.size() - 2);
        } else if (host.find(':') != std::string_view::npos) {
            return std::nullopt;
        }
        out.host = host;
    }
    unsigned value = 0;
    const char* end = out.port.data() + out.port.size();
    const auto [at, ec] = std::from_chars(out.port.data(), end, value);
    return ec == std::errc{} && at == end && value <= 65535 ? std::optional(out) : std::nullopt;
}

/// Every address that the host stands for; all addresses of the machine when it is empty.
std::vector<ip::tcp::endpoint> resolve(asio::any_io_executor executor, const HostPort& at,
                                       error_code& ec) {
    const auto port = static_cast<std::uint16_t>(std::stoul(at.port));
    if (at.host.empty() || at.host == "*") {
        return {ip::tcp::endpoint(ip::address_v6::any(), port)};
    }
    const auto literal = ip::make_address(at.host, ec);
    if (!ec) {
        return {ip::tcp::endpoint(literal, port)};
    }
    ip::tcp::resolver resolver(executor);
    std::vector<ip::tcp::endpoint> out;
    for (const auto& entry : resolver.resolve(at.host, at.port, ec)) {
        out.push_back(entry.endpoint());
    }
    return out;
}

/// Who restarts Corral right after its guard was killed comes before the old server has noticed and
/// let go of the port. Nothing is served yet, so this may block.
void bind_patiently(ip::tcp::acceptor& acceptor, const ip::tcp::endpoint& endpoint,
                    error_code& ec) {
    for (int left = bind_tries_max; left > 0; --left) {
        acceptor.bind(endpoint, ec);
        if (ec != asio::error::address_in_use) {
            return;
        }
        ::poll(nullptr, 0, bind_pause_ms);
    }
}

Result<ip::tcp::acceptor> listen_on(asio::any_io_executor executor, ip::tcp::endpoint endpoint) {
    ip::tcp::acceptor acceptor(executor);
    error_code ec;
    acceptor.open(endpoint.protocol(), ec);
    if (ec == asio::error::address_family_not_supported && endpoint.address().is_v6() &&
        endpoint.address().is_unspecified()) {  // a machine without IPv6
        endpoint = ip::tcp::endpoint(ip::address_v4::any(), endpoint.port());
        ec.clear();
        acceptor.open(endpoint.protocol(), ec);
    }
    const auto fail = [&](const char* what) {
        return Error(ec, Blame::internal, std::string(what) + ": " + ec.message());
    };
    if (ec) {
        return fail("socket");
    }
    // Asio sets no close-on-exec: a model's server would inherit the port (mechanics 4.2).
    ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
    acceptor.set_option(asio::socket_base::reuse_address(true), ec);
    if (endpoint.address().is_v6()) {
        acceptor.set_option(ip::v6_only(!endpoint.address().is_unspecified()), ec);
    }
    bind_patiently(acceptor, endpoint, ec);
    if (ec) {
        return fail(ec == asio::error::address_in_use
                        ? "another program listens there (find it with `ss -ltnp`)"
                        : "bind");
    }
    acceptor.listen(4096, ec);
    if (ec) {
        return fail("listen");
    }
    return acceptor;
}

}  // namespace

Result<std::vector<Listener>> Listener::open(asio::any_io_executor executor,
                                             std::string_view address) {
    const auto at = split_address(address);
    if (!at) {
        return bad_address(address, "expected HOST:PORT, [IPV6]:PORT or :PORT");
    }
    error_code ec;
    const auto endpoints = resolve(executor, *at, ec);
    if (endpoints.empty()) {
        return bad_address(address, ec ? ec.message() : "the host name has no address");
    }
    std::vector<Listener> out;
    for (const auto& endpoint : endpoints) {
        auto acceptor = listen_on(executor, endpoint);
        if (!acceptor) {
            return bad_address(address, acceptor.error().detail);
        }
        out.push_back(Listener(std::move(*acceptor)));
    }
    return out;
}

/// Takes the clients that wait, no more than a batch. What keeps the system from giving one.
error_code Listener::accept_waiting(const OnAccept& on_accept) {
    for (int taken = 0; taken < accepts_at_once_max; ++taken) {
        ip::tcp::endpoint peer;
        auto size = static_cast<socklen_t>(peer.capacity());
        const int fd =
            ::accept4(acceptor_.native_handle(), peer.data(), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return {};
        }
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            return {errno, boost::system::system_category()};
        }
        if (fd < 0) {  // the client gave up between its connect and our accept
            continue;
        }
        peer.resize(size);
        Socket socket(acceptor_.get_executor());
        error_code failed;
        socket.assign(asio::generic::stream_protocol(peer.protocol()), fd, failed);
        if (failed) {
            ::close(fd);
            return failed;
        }
        socket.set_option(ip::tcp::no_delay(true), failed);  // without it, it is only slower
        auto from = peer.address();
        if (from.is_v6() && from.to_v6().is_v4_mapped()) {
            from = ip::make_address_v4(ip::v4_mapped, from.to_v6());
        }
        on_accept(std::move(socket), from.to_string());
    }
    return {};
}

asio::awaitable<void> Listener::run(OnAccept on_accept) {
    asio::steady_timer pause(acceptor_.get_executor());
    error_code ignored;
    acceptor_.native_non_blocking(true, ignored);
    while (acceptor_.is_open()) {
        const auto [ec] = co_await acceptor_.async_wait(asio::socket_base::wait_read, as_values);
        if (ec || !acceptor_.is_open()) {
            co_return;
        }
        if (const auto failed = accept_waiting(on_accept)) {
            spdlog::warn("accept: {}; pausing {} ms", failed.message(),
                         out_of_descriptors_pause.count());
            pause.expires_after(out_of_descriptors_pause);
            co_await pause.async_wait(as_values);
        }
    }
}

void Listener::stop() {
    error_code ignored;
    acceptor_.close(ignored);
}

std::string Listener::address() const {
    error_code ec;
    const auto endpoint = acceptor_.local_endpoint(ec);
    if (ec) {
        return "closed";
    }
    const auto host = endpoint.address().to_string();
    const auto port = std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
}

bool Listener::is_loopback() const {
    error_code ec;
    return acceptor_.local_endpoint(ec).address().is_loopback();
}

}  // namespace corral::http
