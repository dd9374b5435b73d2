// core/ip_range: an address has one meaning, and a range holds what its prefix says.
#include "core/ip_range.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;

namespace {

bool holds(std::string_view range, std::string_view address) {
    const auto parsed = parse_ip_range(range);
    const auto one = parse_ip(address);
    REQUIRE(parsed);
    REQUIRE(one);
    return parsed->contains(*one);
}

}  // namespace

TEST_CASE("only what is written as an address is one") {
    // Guards: no name and no short or odd form of a number passes for an address.
    for (const auto* text : {"127.0.0.1", "::1", "::", "2001:db8::1", "::ffff:10.0.0.1",
                             "fe80::1%eth0", "255.255.255.255"}) {
        CAPTURE(text);
        CHECK(parse_ip(text));
    }
    for (const auto* text : {"", "127.1", "2130706433", "0x7f000001", "127.0.0.1.", "127.0.0.256",
                             "127.0.0.01x", "1.2.3", "1.2.3.4.5", " 127.0.0.1", "[::1]",
                             ":::", "localhost", "1.2.3.4:80", "2001:db8::1::2"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_ip(text));
    }
    CHECK_FALSE(parse_ip(std::string(200, '1')));
    CHECK_FALSE(parse_ip(std::string_view("1.2.3.4\0", 8)));
}

TEST_CASE("a range holds its prefix and nothing else") {
    // Guards: the edges of v4 and v6 ranges, whatever bits stand behind the prefix.
    CHECK(holds("10.0.0.0/8", "10.255.255.255"));
    CHECK_FALSE(holds("10.0.0.0/8", "11.0.0.0"));
    CHECK(holds("10.1.2.3/8", "10.0.0.1"));
    CHECK(holds("192.168.1.0/25", "192.168.1.127"));
    CHECK_FALSE(holds("192.168.1.0/25", "192.168.1.128"));
    CHECK(holds("192.168.1.7", "192.168.1.7"));
    CHECK_FALSE(holds("192.168.1.7", "192.168.1.6"));
    CHECK(holds("fd00::/8", "fdff:1::2"));
    CHECK_FALSE(holds("fd00::/8", "fe00::"));
    CHECK(holds("2001:db8::/127", "2001:db8::1"));
    CHECK_FALSE(holds("2001:db8::/127", "2001:db8::2"));
    CHECK(holds("0.0.0.0/0", "8.8.8.8"));
    CHECK(holds("::/0", "2001:db8::1"));
}

TEST_CASE("an IPv4 address is the same one in both spellings, and no other range holds it") {
    // Guards: a listener for both families gives mapped addresses; ::/0 must not trust all of IPv4.
    CHECK(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
    CHECK(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
    CHECK_FALSE(holds("::ffff:10.0.0.0/104", "11.1.2.3"));
    CHECK_FALSE(holds("::/0", "10.1.2.3"));
    CHECK_FALSE(holds("0.0.0.0/0", "::1"));
    CHECK(parse_ip("10.0.0.1") == parse_ip("::ffff:10.0.0.1"));
}

TEST_CASE("what is no range is refused") {
    // Guards: a slip of the pen trusts nobody.
    for (const auto* text :
         {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8x",
          "10.0.0.0/ 8", "10.0.0/8", "lan", "10.0.0.0/8/8", "10.0.0.0/4294967304"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_ip_range(text));
    }
}
