// Ports: proved free against real sockets, and not given away twice.

#include "supervisor/launch/port_finder.hpp"

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace corral;

namespace {

/// A socket bound to a port; listens when asked to.
class Socket {
public:
    Socket(in_addr_t host, std::uint16_t port, int option, bool listens)
        : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int on = 1;
        if (option != 0) {
            ::setsockopt(fd, SOL_SOCKET, option, &on, sizeof on);
        }
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(host);
        address.sin_port = htons(port);
        ok = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
             (!listens || ::listen(fd, 5) == 0);
    }
    ~Socket() { ::close(fd); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    std::uint16_t port() const {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
        return ntohs(address.sin_port);
    }

    int fd;
    bool ok = false;
};

/// A port on which a server with this option listened, closed a connection first, and ended: its
/// end of the connection is in TIME_WAIT.
std::uint16_t port_in_time_wait(int option) {
    const Socket server(INADDR_LOOPBACK, 0, option, true);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server.port());
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const int accepted = ::accept(server.fd, nullptr, nullptr);
    ::close(accepted);
    char byte = 0;
    CHECK(::read(client, &byte, 1) == 0);
    ::close(client);
    return server.port();
}

}  // namespace

TEST_CASE("a listener on any address makes a port busy, whatever it allows others") {
    for (const in_addr_t host : {INADDR_LOOPBACK, INADDR_ANY, INADDR_LOOPBACK + 1}) {
        for (const int option : {0, SO_REUSEADDR, SO_REUSEPORT}) {
            const Socket server(host, 0, option, true);
            REQUIRE(server.ok);
            CHECK(!port_is_free(server.port()));
        }
    }
}

TEST_CASE("connections of an ended server that fade away leave its port free") {
    for (const int option : {SO_REUSEADDR, SO_REUSEPORT}) {
        const auto port = port_in_time_wait(option);
        CHECK(port_is_free(port));
        CHECK(Socket(INADDR_LOOPBACK, port, option, true).ok);  // as the next server will do it
    }
}

TEST_CASE("the preferred port is given when it is free, and the next one when it is not") {
    std::uint16_t port = 0;
    {
        const Socket probe(INADDR_ANY, 0, 0, false);
        port = probe.port();
    }
    PortFinder finder;
    const TimePoint now{};
    CHECK(finder.find(port, now).value() == port);
    PortFinder fresh;
    const Socket server(INADDR_LOOPBACK, port, 0, true);
    REQUIRE(server.ok);
    const auto other = fresh.find(port, now).value();
    CHECK(other != port);
    CHECK(port_is_free(other));
}

TEST_CASE("a port is promised to one launch for a while, and to a running process until its end") {
    PortFinder finder;
    TimePoint now{};
    const auto port = finder.find(0, now).value();
    CHECK(finder.find(port, now).value() != port);
    now += PortFinder::promise_time;
    CHECK(finder.find(port, now).value() == port);  // nobody launched anything
    finder.assign({"--port", std::to_string(port)}, 42);
    now += PortFinder::promise_time;
    CHECK(finder.find(port, now).value() != port);  // it may listen late
    finder.release(42);
    CHECK(finder.find(port, now).value() == port);
    finder.give_back({"-p" + std::to_string(port)});
    CHECK(finder.find(port, now).value() == port);
}

TEST_CASE("many ports in a row are all different") {
    PortFinder finder;
    std::map<std::uint16_t, int> seen;
    for (int i = 0; i < 200; ++i) {
        ++seen[finder.find(20000, TimePoint{}).value()];
    }
    CHECK(seen.size() == 200);
}

TEST_CASE("a word names a port only by the whole number") {
    CHECK(names_port({"--port", "8080"}, 8080));
    CHECK(names_port({"http://127.0.0.1:8080/v1"}, 8080));
    CHECK(names_port({"x18080 8080"}, 8080));
    CHECK(!names_port({"18080", "80801", ""}, 8080));
}

TEST_CASE("the list of listeners is read up to the first connection") {
    const std::string text =
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n"
        "   1: 00000000:0016 00000000:0000 0A 00000000:00000000\n"
        "   2: 0100007F:2328 0100007F:1F90 06 00000000:00000000\n"
        "   3: 0100007F:2329 00000000:0000 0A 00000000:00000000\n";
    CHECK(shows_listener(text, 8080));
    CHECK(shows_listener(text, 22));
    CHECK(!shows_listener(text, 9000));
    CHECK(!shows_listener(text, 9001));
    CHECK(!shows_listener("", 80));
}
