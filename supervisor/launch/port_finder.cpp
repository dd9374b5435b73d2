// Free ports. Measured on Linux 6 (bind(2) says little of it): with SO_REUSEADDR a bind fails when
// any socket listens on the port at an overlapping address, and passes over TIME_WAIT of servers
// that set SO_REUSEADDR. llama-server sets SO_REUSEPORT instead: its TIME_WAIT lets nobody bind
// who has not set SO_REUSEPORT as well — but who has may bind beside a server that listens. So a
// port passes the plain test, or both the SO_REUSEPORT test and a look at the list of listeners.

#include "supervisor/launch/port_finder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>

namespace corral {
namespace {

constexpr int neighbours = 100;  ///< ports above the preferred one that are tried
constexpr int ephemeral_tries = 64;
constexpr std::size_t listeners_bytes_max = 4 << 20;

/// A TCP socket that closes itself; it is bound at most, never listens.
class ProbeSocket {
public:
    ProbeSocket(int family, bool reuse_port) noexcept
        : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int on = 1;
        ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (reuse_port) {
            ::setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        }
    }
    ~ProbeSocket() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    ProbeSocket(const ProbeSocket&) = delete;
    ProbeSocket& operator=(const ProbeSocket&) = delete;

    /// 0 or an errno.
    template <class Address>
    int bind(const Address& address) const noexcept {
        if (fd_ < 0) {
            return errno == 0 ? EIO : errno;
        }
        const auto* generic = reinterpret_cast<const sockaddr*>(&address);
        return ::bind(fd_, generic, sizeof address) == 0 ? 0 : errno;
    }

    [[nodiscard]] std::uint16_t port() const noexcept {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            return 0;
        }
        return ntohs(address.sin_port);
    }

private:
    int fd_;
};

sockaddr_in address_v4(in_addr_t host, std::uint16_t port) noexcept {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(host);
    address.sin_port = htons(port);
    return address;
}

sockaddr_in6 address_v6_any(std::uint16_t port) noexcept {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_any;
    address.sin6_port = htons(port);
    return address;
}

bool can_bind_everywhere(std::uint16_t port, bool reuse_port) noexcept {
    for (const in_addr_t host : {INADDR_LOOPBACK, INADDR_ANY}) {
        const ProbeSocket probe(AF_INET, reuse_port);
        if (probe.bind(address_v4(host, port)) != 0) {
            return false;
        }
    }
    // A machine without IPv6 fails here in other ways, which say nothing of the port.
    const ProbeSocket probe(AF_INET6, reuse_port);
    return probe.bind(address_v6_any(port)) != EADDRINUSE;
}

/// The part of a /proc/net/tcp file that lists listeners; nothing when it cannot be read.
std::optional<std::string> read_listeners(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return std::nullopt;
    }
    std::string text;
    std::array<char, 16384> chunk{};
    while (text.size() < listeners_bytes_max) {
        const ssize_t n = ::read(fd, chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        text.append(chunk.data(), static_cast<std::size_t>(n));
    }
    ::close(fd);
    return text;
}

bool nobody_listens(std::uint16_t port) {
    const auto v4 = read_listeners("/proc/net/tcp");
    const auto v6 = read_listeners("/proc/net/tcp6");  // absent without IPv6
    return v4 && !shows_listener(*v4, port) && !(v6 && shows_listener(*v6, port));
}

}  // namespace

bool shows_listener(std::string_view text, std::uint16_t port) noexcept {
    // "  sl  local_address rem_address   st …" then "   0: 0100007F:1F90 00000000:0000 0A …"
    const auto field = [](std::string_view& line) {
        const auto begin = std::min(line.find_first_not_of(' '), line.size());
        line.remove_prefix(begin);
        const auto word = line.substr(0, line.find(' '));
        line.remove_prefix(word.size());
        return word;
    };
    for (bool first = true; !text.empty(); first = false) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (first) {
            continue;
        }
        field(line);
        const auto local = field(line);
        field(line);
        if (field(line) != "0A") {
            return false;
        }
        const auto colon = local.rfind(':');
        if (colon == std::string_view::npos) {
            continue;
        }
        unsigned number = 0;
        const auto digits = local.substr(colon + 1);
        std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
        if (number == port) {
            return true;
        }
    }
    return false;
}

bool port_is_free(std::uint16_t port) {
    if (port == 0) {
        return false;
    }
    return can_bind_everywhere(port, false) ||
           (can_bind_everywhere(port, true) && nobody_listens(port));
}

bool names_port(const std::vector<std::string>& words, std::uint16_t port) {
    const auto digits = fmt::format("{}", port);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        for (auto at = word.find(digits); at != std::string::npos; at = word.find(digits, at + 1)) {
            const auto end = at + digits.size();
            if ((at == 0 || !is_digit(word[at - 1])) &&
                (end == word.size() || !is_digit(word[end]))) {
                return true;
            }
        }
        return false;
    });
}

Result<std::uint16_t> PortFinder::find(std::uint16_t preferred, TimePoint now) {
    std::erase_if(promises_, [&](const auto& entry) {
        return entry.second.owner == 0 && entry.second.until <= now;
    });
    const auto give = [&](std::uint16_t port) {
        promises_[port] = Promise{0, now + promise_time};
        return port;
    };
    const int last = std::min(preferred + neighbours, 65535);
    for (int port = preferred; preferred != 0 && port <= last; ++port) {
        const auto candidate = static_cast<std::uint16_t>(port);
        if (!promised(candidate, now) && port_is_free(candidate)) {
            return give(candidate);
        }
    }
    int why = 0;
    for (int i = 0; i < ephemeral_tries; ++i) {
        std::uint16_t candidate = 0;
        {
            const ProbeSocket probe(AF_INET, false);
            why = probe.bind(address_v4(INADDR_ANY, 0));
            candidate = why == 0 ? probe.port() : candidate;
        }
        if (candidate != 0 && !promised(candidate, now) && port_is_free(candidate)) {
            return give(candidate);
        }
    }
    return Error(Errc::io, Blame::internal,
                 fmt::format("no free TCP port was found from {} on{}{}", preferred,
                             why == 0 ? "" : ": ", why == 0 ? "" : std::strerror(why)));
}

void PortFinder::assign(const std::vector<std::string>& words, pid_t owner) {
    for (auto& [port, promise] : promises_) {
        if (promise.owner == 0 && names_port(words, port)) {
            promise.owner = owner;
        }
    }
}

void PortFinder::give_back(const std::vector<std::string>& words) {
    std::erase_if(promises_, [&](const auto& entry) {
        return entry.second.owner == 0 && names_port(words, entry.first);
    });
}

void PortFinder::release(pid_t owner) {
    std::erase_if(promises_, [&](const auto& entry) { return entry.second.owner == owner; });
}

bool PortFinder::promised(std::uint16_t port, TimePoint now) const {
    const auto found = promises_.find(port);
    return found != promises_.end() && (found->second.owner != 0 || found->second.until > now);
}

}  // namespace corral
