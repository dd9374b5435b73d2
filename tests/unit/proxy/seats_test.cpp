// proxy/http/seats: how many may connect, in all and from one address.
#include "proxy/http/seats.hpp"

#include <doctest/doctest.h>

#include <vector>

using corral::Limits;
using corral::http::Seats;
using Kind = Seats::Kind;

TEST_CASE("seats in all have a number, and one that is given back is free") {
    // Guards: limits.connections, and that nothing is counted twice or for ever.
    Limits limits;
    limits.connections = 2;
    Seats seats;
    auto one = seats.take("127.0.0.1", limits);
    auto two = seats.take("unix:", limits);
    CHECK(two.kind() == Kind::seat);
    CHECK(seats.take("127.0.0.1", limits).kind() == Kind::standing);
    CHECK(seats.taken() == 2);
    one = Seats::Seat();
    CHECK(seats.taken() == 1);
    const auto moved = std::move(two);
    CHECK(seats.taken() == 1);
    CHECK(seats.take("::1", limits).kind() == Kind::seat);
}

TEST_CASE("no more than a few may stand") {
    // Guards: who is refused costs something only as long as few are.
    Limits limits;
    limits.connections = 0;
    Seats seats;
    std::vector<Seats::Seat> standing;
    for (std::size_t i = 0; i < Seats::standing_max; ++i) {
        standing.push_back(seats.take("127.0.0.1", limits));
        CHECK(standing.back().kind() == Kind::standing);
    }
    CHECK(seats.take("127.0.0.1", limits).kind() == Kind::none);
    standing.pop_back();
    CHECK(seats.take("127.0.0.1", limits).kind() == Kind::standing);
    CHECK(seats.taken() == 0);
}

TEST_CASE("an address of another machine has a limit of its own") {
    // Guards: one machine cannot take every seat; this one, as which a proxy in front appears, may.
    const Limits limits;
    Seats seats;
    std::vector<Seats::Seat> held;
    for (std::size_t i = 0; i < Seats::usual_per_peer; ++i) {
        held.push_back(seats.take("192.0.2.1", limits));
        held.push_back(seats.take("127.0.0.1", limits));
        held.push_back(seats.take("unix:", limits));
    }
    CHECK(held.back().kind() == Kind::seat);
    CHECK(seats.take("192.0.2.1", limits).kind() == Kind::standing_peer);
    CHECK(seats.take("192.0.2.2", limits).kind() == Kind::seat);
    CHECK(seats.take("127.0.0.1", limits).kind() == Kind::seat);
    CHECK(seats.take("unix:", limits).kind() == Kind::seat);
}

TEST_CASE("a number that is set holds for this machine, too, and 0 for nobody") {
    // Guards: whoever sets limits.connectionsPerPeer sees it at work, from here as well.
    Limits limits;
    limits.connections_per_peer = 1;
    Seats seats;
    auto first = seats.take("127.0.0.1", limits);
    CHECK(seats.take("127.0.0.1", limits).kind() == Kind::standing_peer);
    CHECK(seats.take("unix:", limits).kind() == Kind::seat);
    first = Seats::Seat();
    CHECK(seats.take("127.0.0.1", limits).kind() == Kind::seat);

    limits.connections_per_peer = 0;
    std::vector<Seats::Seat> held;
    for (std::size_t i = 0; i < 2 * Seats::usual_per_peer; ++i) {
        held.push_back(seats.take("192.0.2.1", limits));
    }
    CHECK(held.back().kind() == Kind::seat);
}

TEST_CASE("IPv6 addresses count by their network") {
    // Guards: who has one address of a /64 has 2^64 of them.
    Limits limits;
    limits.connections_per_peer = 1;
    Seats seats;
    const auto held = seats.take("2001:db8:0:1::1", limits);
    CHECK(seats.take("2001:db8:0:1:ffff::2", limits).kind() == Kind::standing_peer);
    CHECK(seats.take("2001:db8:0:2::1", limits).kind() == Kind::seat);
}
