// What a tree has read, from the kernel's text and from real processes.
#include "supervisor/launch/activity.hpp"

#include "yard.hpp"

using namespace corral;
using namespace corral::test;

TEST_CASE("calls and storage are added; what is no such text is not known") {
    // Guards: a file that is mapped counts as read, too.
    CHECK(parse_bytes_read("rchar: 323934931\nwchar: 32\nsyscr: 1\nsyscw: 1\nread_bytes: 1000000\n"
                           "write_bytes: 3\n") == 324934931U);
    CHECK_FALSE(parse_bytes_read("").has_value());
    CHECK_FALSE(parse_bytes_read("rchar: 1\n").has_value());
    CHECK_FALSE(parse_bytes_read("rchar: x\nread_bytes: 1\n").has_value());
    CHECK_FALSE(parse_bytes_read("rchar: 99999999999999999999999\nread_bytes: 1").has_value());
}

TEST_CASE("a child that prints is at work, one that pauses is not") {
    // Guards: the number by which a stalled start is known moves with output, and stands still.
    Yard yard;
    auto idle = yard.start({"report", "pause"});
    REQUIRE(yard.until([&] { return !idle->last_lines(1).empty(); }));
    const auto before = idle->activity();
    REQUIRE(before.has_value());
    CHECK(idle->activity() == before);
    auto busy = yard.start({"report", "print=more", "pause"});
    REQUIRE(yard.until([&] { return busy->last_lines(9).find("more") != std::string::npos; }));
    CHECK(busy->activity() != before);
    idle->kill();
    busy->kill();
    yard.wait(*idle);
    yard.wait(*busy);
}
