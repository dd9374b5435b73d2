// Listeners as the kernel tells them by netlink: real sockets, and datagrams of any bytes.

#include "supervisor/launch/socket_diag.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace corral;

namespace {

using Listeners = std::vector<std::uint64_t>;

constexpr std::uint16_t some_port = 8080;

/// A socket bound to an address; closed with it.
class BoundSocket {
public:
    BoundSocket(const char* address, std::uint16_t at) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_port = htons(at);
        REQUIRE(::inet_pton(AF_INET, address, &name.sin_addr) == 1);
        auto* generic = reinterpret_cast<sockaddr*>(&name);
        socklen_t size = sizeof name;
        REQUIRE(::bind(fd, generic, size) == 0);
        REQUIRE(::getsockname(fd, generic, &size) == 0);
        port = ntohs(name.sin_port);
    }
    ~BoundSocket() { ::close(fd); }
    BoundSocket(const BoundSocket&) = delete;
    BoundSocket& operator=(const BoundSocket&) = delete;

    [[nodiscard]] std::uint64_t inode() const {
        struct stat status {};
        REQUIRE(::fstat(fd, &status) == 0);
        return status.st_ino;
    }

    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::uint16_t port = 0;
};

template <class T>
std::string bytes_of(const T& value) {
    std::string out(sizeof value, '\0');
    std::memcpy(out.data(), &value, sizeof value);
    return out;
}

std::string message(std::uint16_t type, const std::string& payload) {
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + payload.size());
    header.nlmsg_type = type;
    return bytes_of(header) + payload;
}

std::string socket_message(int family, const char* address, std::uint32_t inode,
                           std::uint16_t port = some_port, std::uint8_t state = TCP_LISTEN) {
    inet_diag_msg body{};
    body.idiag_family = static_cast<std::uint8_t>(family);
    body.idiag_state = state;
    body.id.idiag_sport = htons(port);
    body.idiag_inode = inode;
    REQUIRE(::inet_pton(family, address, body.id.idiag_src) == 1);
    return message(SOCK_DIAG_BY_FAMILY, bytes_of(body));
}

DiagPart parse(const std::string& text) {
    return parse_diag_part(std::as_bytes(std::span(text)), some_port);
}

}  // namespace

TEST_CASE("the kernel names the socket that listens on a port, and no other") {
    // Guards: neither a socket that is only bound nor a connection counts as a listener.
    const BoundSocket listener("127.0.0.1", 0);
    if (!diagnose_listeners(listener.port)) {
        MESSAGE("this kernel does not tell: /proc is read instead");
        return;
    }
    CHECK(diagnose_listeners(listener.port) == Listeners{});
    REQUIRE(::listen(listener.fd, 4) == 0);
    CHECK(diagnose_listeners(listener.port) == Listeners{listener.inode()});
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(listener.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    CHECK(diagnose_listeners(listener.port) == Listeners{listener.inode()});
    ::close(client);
}

TEST_CASE("of the kernel's words those count that loopback reaches") {
    // Guards: the same addresses as in the tables of /proc, IPv4 within IPv6 among them.
    const std::string done = message(NLMSG_DONE, bytes_of(0));
    const DiagPart part = parse(
        socket_message(AF_INET, "127.0.0.1", 1) + socket_message(AF_INET, "0.0.0.0", 2) +
        socket_message(AF_INET, "192.168.1.2", 3) + socket_message(AF_INET, "127.9.9.9", 4) +
        socket_message(AF_INET, "127.0.0.1", 5, 8081) +
        socket_message(AF_INET, "127.0.0.1", 6, some_port, TCP_ESTABLISHED) +
        socket_message(AF_INET6, "::", 7) + socket_message(AF_INET6, "::1", 8) +
        socket_message(AF_INET6, "::2", 9) + socket_message(AF_INET6, "::ffff:127.0.0.1", 10) +
        socket_message(AF_INET6, "::ffff:10.0.0.1", 11) + socket_message(AF_INET6, "fe80::1", 12) +
        done);
    CHECK(part.inodes == Listeners{1, 2, 4, 7, 8, 10});
    CHECK(part.last);
    CHECK(!part.failed);
    CHECK(!parse(socket_message(AF_INET, "127.0.0.1", 1)).last);
}

TEST_CASE("a kernel that cannot tell is no kernel that says \"nobody\"") {
    // Guards: errors, an answer cut anywhere and a wrong length end in reading /proc.
    CHECK(parse("").failed);
    CHECK(parse(message(NLMSG_ERROR, bytes_of(-ENOENT))).failed);
    CHECK(parse(message(NLMSG_DONE, bytes_of(-ENOENT))).failed);
    CHECK(!parse(message(NLMSG_DONE, "")).failed);
    const std::string whole = socket_message(AF_INET, "127.0.0.1", 1);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK(parse(whole.substr(0, size)).failed);
    }
    nlmsghdr header{};
    for (const std::uint32_t length : {0U, 1U, 15U, 17U, 0xffffffffU}) {
        header.nlmsg_len = length;
        CHECK(parse(bytes_of(header)).failed);
    }
}
