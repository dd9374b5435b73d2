// A connection with TLS on it: what counts as quiet and as readable.
#include "proxy/http/wire.hpp"
#include "tests/unit/proxy/tls_support.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <array>
#include <exception>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

namespace asio = boost::asio;
using namespace tls_test;

/// A wire after its handshake. The server's session tickets are made and not sent yet.
struct Established {
    Authority authority;
    Identity leaf = make_identity({"x", "DNS:h.example"}, &authority.identity());
    Pair pair = make_pair_for("https://h.example", leaf);
    std::string tickets;
    asio::io_context loop;
    int far_end = -1;
    std::optional<http::Wire> wire;

    Established() {
        REQUIRE(pair.client->handshake() == Step::starved);
        carry(*pair.client, *pair.server, 4096, false);
        REQUIRE(pair.server->handshake() == Step::starved);
        carry(*pair.server, *pair.client, 4096, false);
        REQUIRE(pair.client->handshake() == Step::done);
        carry(*pair.client, *pair.server, 4096, false);
        REQUIRE(pair.server->handshake() == Step::done);
        tickets = pair.server->take_outgoing();
        REQUIRE(!tickets.empty());
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        far_end = ends[1];
        const asio::generic::stream_protocol protocol(AF_UNIX, 0);
        wire.emplace(http::Socket(loop, protocol, ends[0]), std::move(pair.client));
    }
    Established(const Established&) = delete;
    ~Established() { ::close(far_end); }

    void arrives(const std::string& bytes) const {
        REQUIRE(::write(far_end, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    std::string from_server(std::string_view plaintext) {
        REQUIRE(pair.server->write(plaintext) == Step::done);
        return pair.server->take_outgoing();
    }
};

asio::awaitable<void> fill(http::Wire& wire, std::optional<http::error_code>& ended) {
    const http::error_code ec = co_await wire.fill(http::Wire::Buffer::none);
    ended = ec;
}

TEST_CASE("session tickets on an idle connection leave it quiet") {
    // Guards: TLS 1.3 connections are used again; plaintext that nobody asked for ends that.
    Established setup;
    CHECK(setup.wire->is_quiet());
    setup.arrives(setup.tickets);
    CHECK(setup.wire->is_quiet());
    setup.arrives(setup.from_server("x"));
    CHECK(!setup.wire->is_quiet());
    CHECK(!setup.wire->is_quiet());
}

TEST_CASE("a connection that the server has ended is not quiet") {
    // Guards: neither an announced end nor a cut connection gets another request.
    Established announced;
    announced.pair.server->finish();
    announced.arrives(announced.pair.server->take_outgoing());
    CHECK(!announced.wire->is_quiet());
    Established cut;
    REQUIRE(::shutdown(cut.far_end, SHUT_WR) == 0);
    CHECK(!cut.wire->is_quiet());
}

TEST_CASE("who waits for bytes is not woken by TLS's own messages") {
    // Guards: readable means plaintext, also when it comes together with a ticket.
    for (const bool together : {false, true}) {
        Established setup;
        std::optional<http::error_code> ended;
        asio::co_spawn(setup.loop, fill(*setup.wire, ended),
                       [](const std::exception_ptr& failure) { CHECK(!failure); });
        setup.loop.poll();
        const std::string text = setup.from_server("x");
        setup.arrives(together ? setup.tickets + text : setup.tickets);
        setup.loop.poll();
        CHECK(ended.has_value() == together);
        if (!together) {
            setup.arrives(text);
            setup.loop.poll();
        }
        CHECK(ended == http::error_code());
        CHECK(setup.wire->in().data() == "x");
    }
}

TEST_CASE("closing says so to the server, resetting does not") {
    // Guards: a server can tell a whole request from a cut one.
    for (const bool reset : {false, true}) {
        Established setup;
        setup.wire->close(reset);
        std::array<char, 4096> bytes{};
        const auto n = ::read(setup.far_end, bytes.data(), bytes.size());
        if (reset) {
            CHECK(n <= 0);
            continue;
        }
        REQUIRE(n > 0);
        std::copy_n(bytes.begin(), n, setup.pair.server->room().begin());
        setup.pair.server->received(static_cast<std::size_t>(n));
        CHECK(setup.pair.server->look() == Step::ended);
    }
}

}  // namespace
}  // namespace corral
