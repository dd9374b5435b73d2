// The Date of an answer: RFC 9110 5.6.7, and written only when the second has changed.
#include "proxy/http/date_clock.hpp"

#include <doctest/doctest.h>

#include <ctime>
#include <limits>
#include <string>

using corral::http::DateClock;

TEST_CASE("a second is written as RFC 9110 5.6.7 has it") {
    // Guards: a date that every client can read, whatever the locale and the zone.
    const DateClock clock;
    CHECK(clock.at(784'111'777) == "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of the RFC
    CHECK(clock.at(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(clock.at(951'782'399) == "Mon, 28 Feb 2000 23:59:59 GMT");
    CHECK(clock.at(951'782'400) == "Tue, 29 Feb 2000 00:00:00 GMT");
    CHECK(clock.at(4'107'542'399) == "Sun, 28 Feb 2100 23:59:59 GMT");
    CHECK(clock.at(4'107'542'400) == "Mon, 01 Mar 2100 00:00:00 GMT");
}

TEST_CASE("a clock that is far off breaks no answer") {
    // Guards: a year of five digits, or one before 1970, is no date of HTTP.
    const DateClock clock;
    CHECK(clock.at(-1) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(clock.at(std::numeric_limits<std::time_t>::max()) == "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST_CASE("a clock follows the time, both ways, in the same bytes") {
    // Guards: no allocation an answer, and no date of a second that has passed.
    const DateClock clock;
    const auto first = clock.at(100);
    const std::string said(first);
    const auto second = clock.at(101);
    CHECK(second.data() == first.data());
    CHECK(second == "Thu, 01 Jan 1970 00:01:41 GMT");
    CHECK(clock.at(100) == said);
    CHECK(clock.now() != "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(clock.now().size() == DateClock::date_bytes);
}
