// Idle upstream connections: whose they are, how many, how long. Over socket pairs, without a
// server.
#include "proxy/upstream/pool.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace corral {
namespace {

namespace asio = boost::asio;

/// A loop, a pool and the far ends of the connections in it.
struct PoolSetup {
    asio::io_context loop;
    UpstreamPool pool{loop.get_executor()};
    std::vector<int> far_ends;

    PoolSetup() = default;
    PoolSetup(const PoolSetup&) = delete;
    ~PoolSetup() {
        pool.clear();
        loop.restart();
        loop.poll();
        for (const int fd : far_ends) {
            ::close(fd);
        }
    }

    http::Wire connection() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        far_ends.push_back(ends[1]);
        const asio::generic::stream_protocol protocol(AF_UNIX, 0);
        return http::Wire(http::Socket(loop, protocol, ends[0]));
    }
    int give(const PoolKey& key, PoolRule rule = {}) {
        auto wire = connection();
        const int fd = wire.socket().native_handle();
        pool.give(key, std::move(wire), rule);
        return fd;
    }
    /// The descriptor of the connection that is there for the key, or -1.
    int taken(const PoolKey& key) {
        auto wire = pool.take(key);
        return wire ? wire->socket().native_handle() : -1;
    }
    void turn() {
        loop.restart();
        loop.poll();
    }
};

const PoolRule long_lived{3, Duration::max(), true};

TEST_CASE("a connection comes back for its own key only, the newest first") {
    // Guards: no request travels on a connection to another server or another start of a model.
    PoolSetup setup;
    const int a = setup.give(PoolKey(1));
    const int b = setup.give(PoolKey(1));
    const int peer = setup.give(PoolKey("https://h:443"), long_lived);
    CHECK(setup.taken(PoolKey(2)) == -1);
    CHECK(setup.taken(PoolKey("http://h:443")) == -1);
    CHECK(setup.taken(PoolKey("https://h:443")) == peer);
    CHECK(setup.taken(PoolKey(1)) == b);
    CHECK(setup.taken(PoolKey(1)) == a);
    CHECK(setup.taken(PoolKey(1)) == -1);
}

TEST_CASE("connections to a server that is told to end are closed at once, no other key's") {
    // Guards: a llama-server waits for idle connections before it ends.
    PoolSetup setup;
    const PoolKey going(1);
    setup.give(going);
    const int stays = setup.give(PoolKey(2));
    setup.give(going);
    setup.pool.forget(going);
    CHECK(setup.pool.size() == 1);
    CHECK(setup.taken(going) == -1);
    CHECK(setup.taken(PoolKey(2)) == stays);
    setup.pool.forget(going);  // there is nothing to forget
}

TEST_CASE("of too many the oldest goes, and no other key's") {
    // Guards: the number of idle connections to one server is bounded.
    PoolSetup setup;
    const PoolKey peer("http://h:1");
    std::vector<int> given;
    setup.give(PoolKey(1));
    for (int i = 0; i < 5; ++i) {
        given.push_back(setup.give(peer, long_lived));
    }
    CHECK(setup.pool.size() == 4);
    CHECK(setup.taken(peer) == given[4]);
    CHECK(setup.taken(peer) == given[3]);
    CHECK(setup.taken(peer) == given[2]);
    CHECK(setup.taken(peer) == -1);
    CHECK(setup.taken(PoolKey(1)) != -1);
}

TEST_CASE("a connection on which anything happened is never used again") {
    // Guards: neither a connection that the server has closed nor one with bytes that nobody asked
    // for gets a request.
    PoolSetup setup;
    const PoolKey key(7);
    setup.give(key);
    REQUIRE(::write(setup.far_ends.back(), "x", 1) == 1);
    setup.give(key);
    REQUIRE(::shutdown(setup.far_ends.back(), SHUT_WR) == 0);
    CHECK(setup.pool.size() == 2);
    CHECK(setup.taken(key) == -1);
    CHECK(setup.pool.size() == 0);

    auto loud = setup.connection();
    REQUIRE(::write(setup.far_ends.back(), "x", 1) == 1);
    setup.pool.give(key, std::move(loud));
    CHECK(setup.taken(key) == -1);
}

TEST_CASE("a burst is kept for a moment, then only few") {
    // Guards: requests on many connections do not connect anew each time, and yet a model's server
    // has few idle connections of ours.
    PoolSetup setup;
    const PoolKey key(3);
    const PoolRule rule{2, Duration(3'600'000), false, 5};
    std::vector<int> given;
    for (int i = 0; i < 6; ++i) {
        given.push_back(setup.give(key, rule));
    }
    CHECK(setup.pool.size() == 5);
    while (setup.pool.size() > 2) {
        setup.loop.restart();
        setup.loop.run_one();
    }
    CHECK(setup.taken(key) == given[5]);
    CHECK(setup.taken(key) == given[4]);
    CHECK(setup.taken(key) == -1);
}

TEST_CASE("no connection is kept while a new one waits for its server to notice it") {
    // Guards: with a server that has a thread for each connection, idle ones do not keep a request
    // waiting until they end.
    PoolSetup setup;
    const PoolKey key(3);
    const http::Wire waiting = setup.connection();
    setup.give(key, model_pool_rule);
    setup.give(PoolKey(4), model_pool_rule);
    const UpstreamPool::Waiting entry(setup.pool, key, waiting);
    CHECK(setup.pool.size() == 2);
    while (setup.pool.size() == 2) {
        setup.loop.restart();
        setup.loop.run_one();
    }
    CHECK(setup.taken(PoolKey(4)) != -1);
    setup.give(key, model_pool_rule);
    CHECK(setup.pool.size() == 0);
}

TEST_CASE("a watched connection goes as soon as the server ends it") {
    // Guards: a peer's closed connections do not stay with us for as long as idle ones may.
    PoolSetup setup;
    const PoolKey peer("http://h:1");
    const int kept = setup.give(peer, long_lived);
    setup.give(peer, long_lived);
    setup.turn();
    CHECK(setup.pool.size() == 2);
    REQUIRE(::shutdown(setup.far_ends.back(), SHUT_WR) == 0);
    setup.turn();
    CHECK(setup.pool.size() == 1);
    CHECK(setup.taken(peer) == kept);
}

TEST_CASE("an idle connection ends when its time is over, whatever the others' times are") {
    // Guards: idleConn holds for each connection, and a long life does not lengthen a short one.
    PoolSetup setup;
    const PoolKey lasting("http://h:1");
    const PoolKey brief("http://h:2");
    const int kept = setup.give(lasting, {3, Duration(3'600'000), true});
    setup.give(brief, {3, Duration(1), true});
    while (setup.pool.size() == 2) {
        setup.loop.restart();
        setup.loop.run_one();
    }
    CHECK(setup.taken(brief) == -1);
    CHECK(setup.taken(lasting) == kept);
}

}  // namespace
}  // namespace corral
