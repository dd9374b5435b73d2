#include "supervisor/launch/socket_diag.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace corral {
namespace {

constexpr std::size_t datagram_bytes_max = 32 << 10;  // what the kernel makes at most
constexpr int datagrams_max = 1'000;                  // 100,000 listeners
constexpr std::uint32_t states = 1U << TCP_LISTEN;

struct Request {
    nlmsghdr header{};
    inet_diag_req_v2 body{};
};

/// Closes what it has; one request at a time.
class DiagSocket {
public:
    DiagSocket() noexcept
        : fd_(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)) {}
    ~DiagSocket() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    DiagSocket(const DiagSocket&) = delete;
    DiagSocket& operator=(const DiagSocket&) = delete;

    [[nodiscard]] bool ask(std::uint8_t family, std::uint16_t port) const noexcept {
        Request request;
        request.header.nlmsg_len = sizeof request;
        request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
        request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.body.sdiag_family = family;
        request.body.sdiag_protocol = IPPROTO_TCP;
        request.body.idiag_states = states;
        request.body.id.idiag_sport = htons(port);
        sockaddr_nl kernel{};
        kernel.nl_family = AF_NETLINK;
        const auto sent = ::sendto(fd_, &request, sizeof request, MSG_DONTWAIT,
                                   reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
        return sent == static_cast<ssize_t>(sizeof request);
    }

    /// The kernel answers while it is asked, so that nothing to read is no answer.
    [[nodiscard]] std::span<const std::byte> receive(std::span<std::byte> into) const noexcept {
        const ssize_t n = ::recv(fd_, into.data(), into.size(), MSG_DONTWAIT);
        return into.first(n > 0 ? static_cast<std::size_t>(n) : 0);
    }

private:
    int fd_;
};

bool reached_from_loopback(const inet_diag_msg& socket) noexcept {
    std::array<unsigned char, 16> address{};
    std::memcpy(address.data(), socket.id.idiag_src, address.size());
    const auto is_zero = [&](std::size_t from, std::size_t to) {
        return std::all_of(address.begin() + from, address.begin() + to,
                           [](unsigned char byte) { return byte == 0; });
    };
    if (socket.idiag_family == AF_INET) {
        return is_zero(0, 4) || address[0] == IN_LOOPBACKNET;
    }
    const bool any_or_loopback = is_zero(0, 15) && address[15] <= 1;
    const bool mapped = is_zero(0, 10) && address[10] == 0xff && address[11] == 0xff;
    return any_or_loopback || (mapped && address[12] == IN_LOOPBACKNET);
}

template <class T>
T read_as(std::span<const std::byte> bytes) noexcept {
    T value{};
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

/// The end of an answer has a number: below zero it is an errno.
bool is_good_end(std::span<const std::byte> payload) noexcept {
    return payload.size() < sizeof(int) || read_as<int>(payload) >= 0;
}

}  // namespace

DiagPart parse_diag_part(std::span<const std::byte> datagram, std::uint16_t port) {
    DiagPart out;
    out.failed = datagram.empty();
    while (!out.last && !out.failed && !datagram.empty()) {
        const auto header =
            datagram.size() < sizeof(nlmsghdr) ? nlmsghdr{} : read_as<nlmsghdr>(datagram);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) {
            out.failed = true;
            break;
        }
        const auto payload = datagram.first(header.nlmsg_len).subspan(NLMSG_HDRLEN);
        if (header.nlmsg_type == NLMSG_DONE) {
            out.last = true;
            out.failed = !is_good_end(payload);
        } else if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
                   payload.size() < sizeof(inet_diag_msg)) {
            out.failed = true;
        } else {
            const auto socket = read_as<inet_diag_msg>(payload);
            if (socket.idiag_state == TCP_LISTEN && socket.id.idiag_sport == htons(port) &&
                reached_from_loopback(socket)) {
                out.inodes.push_back(socket.idiag_inode);
            }
        }
        datagram =
            datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
    }
    return out;
}

std::optional<std::vector<std::uint64_t>> diagnose_listeners(std::uint16_t port) {
    const DiagSocket kernel;
    std::vector<std::byte> buffer(datagram_bytes_max);
    std::vector<std::uint64_t> out;
    for (const int family : {AF_INET, AF_INET6}) {
        DiagPart part;
        part.failed = !kernel.ask(static_cast<std::uint8_t>(family), port);
        for (int i = 0; i < datagrams_max && !part.failed && !part.last; ++i) {
            part = parse_diag_part(kernel.receive(buffer), port);
            out.insert(out.end(), part.inodes.begin(), part.inodes.end());
        }
        if (part.failed || !part.last) {
            return std::nullopt;
        }
    }
    return out;
}

}  // namespace corral
