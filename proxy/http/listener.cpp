#include "proxy/http/listener.hpp"

#include "core/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
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
constexpr int backlog = 4096;
constexpr int bind_pause_ms = 10;
constexpr int bind_tries_max = 50;  // for half a second

Error cannot_listen(std::string_view address, std::string_view why) {
    return {Errc::invalid_config, Blame::internal,
            "cannot listen on \"" + std::string(address) + "\": " + std::string(why)};
}

/// A descriptor that is closed unless it is given away.
class OwnedSocket {
public:
    explicit OwnedSocket(int fd) noexcept : fd_(fd) {}
    ~OwnedSocket() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    OwnedSocket(const OwnedSocket&) = delete;
    OwnedSocket& operator=(const OwnedSocket&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int give() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

/// Asio sets no close-on-exec: a model's server would inherit the port.
OwnedSocket stream_socket(int family) noexcept {
    return OwnedSocket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

error_code last_error() noexcept {
    return {errno, boost::system::system_category()};
}

/// Every address that the host stands for; all addresses of the machine when it is empty.
std::vector<ip::tcp::endpoint> resolve(asio::any_io_executor executor, const ListenAddress& at,
                                       error_code& ec) {
    if (at.host.empty()) {
        return {ip::tcp::endpoint(ip::address_v6::any(), at.port)};
    }
    const auto literal = ip::make_address(at.host, ec);
    if (!ec) {
        return {ip::tcp::endpoint(literal, at.port)};
    }
    ip::tcp::resolver resolver(executor);
    std::vector<ip::tcp::endpoint> out;
    for (const auto& entry : resolver.resolve(at.host, std::to_string(at.port), ec)) {
        out.push_back(entry.endpoint());
    }
    return out;
}

Error at_step(const char* what, const error_code& ec) {
    return {ec, Blame::internal, std::string(what) + ": " + ec.message()};
}

/// Who restarts Corral right after its guard was killed comes before the old server has noticed and
/// let go of the port. Nothing is served yet, so this may block.
bool bind_patiently(int fd, const ip::tcp::endpoint& endpoint) noexcept {
    for (int left = bind_tries_max; left > 0; --left) {
        if (::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) {
            return true;
        }
        if (errno != EADDRINUSE) {
            return false;
        }
        if (left > 1) {
            ::poll(nullptr, 0, bind_pause_ms);
            errno = EADDRINUSE;
        }
    }
    return false;
}

/// A socket that listens on this address, or what is wrong.
Result<int> listen_on(const ip::tcp::endpoint& endpoint, bool v6_only) {
    OwnedSocket socket = stream_socket(endpoint.protocol().family());
    if (socket.get() < 0 && errno == EAFNOSUPPORT && endpoint.address() == ip::address_v6::any()) {
        return listen_on({ip::address_v4::any(), endpoint.port()}, false);  // no IPv6 here
    }
    if (socket.get() < 0) {
        return at_step("socket", last_error());
    }
    const int yes = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (endpoint.address().is_v6()) {
        const int only = v6_only || !endpoint.address().is_unspecified() ? 1 : 0;
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
    if (!bind_patiently(socket.get(), endpoint) || ::listen(socket.get(), backlog) != 0) {
        const auto ec = last_error();
        return at_step(ec == asio::error::address_in_use
                           ? "another program listens there (find it with `ss -ltnp`)"
                           : "bind",
                       ec);
    }
    return socket.give();
}

/// One of the addresses of a name that this machine does not have: the others will do.
bool is_not_here(const Error& error) noexcept {
    return error.code == error_code(EADDRNOTAVAIL, boost::system::system_category()) ||
           error.code == error_code(EAFNOSUPPORT, boost::system::system_category());
}

std::string text_of(const ip::tcp::endpoint& endpoint) {
    const auto host = endpoint.address().to_string();
    const auto port = std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
}

/// Where an accepted client comes from.
std::string peer_of(const ip::tcp::endpoint& endpoint, bool is_unix) {
    if (is_unix) {
        return std::string(unix_peer);
    }
    auto from = endpoint.address();
    if (from.is_v6() && from.to_v6().is_v4_mapped()) {
        from = ip::make_address_v4(ip::v4_mapped, from.to_v6());
    }
    return from.to_string();
}

}  // namespace

/// Reads from the socket itself where it listens: the port may have been for the system to pick.
Listener::Listener(const asio::any_io_executor& executor, int descriptor)
    : descriptor_(executor, descriptor) {
    asio::generic::stream_protocol::endpoint bound;
    auto size = static_cast<socklen_t>(bound.capacity());
    if (::getsockname(descriptor, bound.data(), &size) != 0) {
        return;
    }
    bound.resize(size);
    const int family = bound.protocol().family();
    unix_ = family == AF_UNIX;
    if (unix_) {
        asio::local::stream_protocol::endpoint here;
        std::memcpy(here.data(), bound.data(), size);
        here.resize(size);
        address_ = "unix:" + here.path();
        local_ = true;
    } else {
        ip::tcp::endpoint here;
        std::memcpy(here.data(), bound.data(), std::min<std::size_t>(size, here.capacity()));
        address_ = text_of(here);
        local_ = here.address().is_loopback();
    }
}

Result<std::vector<Listener>> Listener::open(const asio::any_io_executor& executor,
                                             const ListenAddress& address, bool v6_only) {
    std::vector<Listener> out;
    if (!address.unix_path.empty()) {
        OwnedSocket socket = stream_socket(AF_UNIX);
        if (socket.get() < 0) {
            return cannot_listen(address.text, last_error().message());
        }
        auto file = SocketFile::bind(socket.get(), address.unix_path, address.mode);
        if (!file) {
            return cannot_listen(address.text, file.error().detail);
        }
        if (::listen(socket.get(), backlog) != 0) {
            return cannot_listen(address.text, last_error().message());
        }
        out.push_back(Listener(executor, socket.give()));
        out.back().file_ = std::move(*file);
        return out;
    }
    error_code ec;
    const auto endpoints = resolve(executor, address, ec);
    if (endpoints.empty()) {
        return cannot_listen(address.text, ec ? ec.message() : "the host name has no address");
    }
    std::string missing;
    for (const auto& endpoint : endpoints) {
        const auto socket = listen_on(endpoint, v6_only);
        if (!socket && !is_not_here(socket.error())) {
            return cannot_listen(address.text, socket.error().detail);
        }
        if (socket) {
            out.push_back(Listener(executor, *socket));
        } else {
            missing = socket.error().detail;
        }
    }
    if (out.empty()) {
        return cannot_listen(address.text, missing);
    }
    return out;
}

Result<Listener> Listener::adopt(const asio::any_io_executor& executor, int descriptor,
                                 std::string_view name) {
    OwnedSocket socket(descriptor);
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
        ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
        return cannot_listen(name,
                             "what was passed is no stream socket that listens: a socket unit for "
                             "Corral has ListenStream= and not Accept=yes");
    }
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    return Listener(executor, socket.give());
}

/// Takes the clients that wait, no more than a batch. What keeps the system from giving one.
error_code Listener::accept_waiting(const OnAccept& on_accept) {
    for (int taken = 0; taken < accepts_at_once_max && descriptor_.is_open(); ++taken) {
        ip::tcp::endpoint peer;
        auto size = static_cast<socklen_t>(peer.capacity());
        const int fd = ::accept4(descriptor_.native_handle(), unix_ ? nullptr : peer.data(),
                                 unix_ ? nullptr : &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return {};
        }
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            return last_error();
        }
        if (fd < 0) {  // the client gave up between its connect and our accept
            continue;
        }
        Socket socket(descriptor_.get_executor());
        error_code failed;
        const int family = unix_ ? AF_UNIX : peer.protocol().family();
        socket.assign(asio::generic::stream_protocol(family, 0), fd, failed);
        if (failed) {
            ::close(fd);
            return failed;
        }
        if (!unix_) {
            error_code ignored;  // without it, it is only slower
            socket.set_option(ip::tcp::no_delay(true), ignored);
        }
        on_accept(std::move(socket), peer_of(peer, unix_));
    }
    return {};
}

asio::awaitable<void> Listener::run(OnAccept on_accept) {
    asio::steady_timer pause(descriptor_.get_executor());
    while (descriptor_.is_open()) {
        const auto [ec] =
            co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read, as_values);
        if (ec || !descriptor_.is_open()) {
            co_return;
        }
        if (const auto failed = accept_waiting(on_accept)) {
            tell_pause(failed);
            pause.expires_after(out_of_descriptors_pause);
            co_await pause.async_wait(as_values);
        }
    }
}

/// Not with every pause: they may follow one another for hours.
void Listener::tell_pause(const error_code& why) {
    if (pauses_.count(Clock::now())) {
        spdlog::warn("accept: {}: new clients of {} wait until some connection has ended{}",
                     why.message(), address_,
                     why == error_code(EMFILE, boost::system::system_category())
                         ? " (raise LimitNOFILE or ulimit -n, or lower limits.connections)"
                         : "");
    }
}

void Listener::stop() {
    error_code ignored;
    descriptor_.close(ignored);
    file_.remove();
}

}  // namespace corral::http
