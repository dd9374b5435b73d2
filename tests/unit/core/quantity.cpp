// core/quantity: durations and sizes as people write them.
#include "core/quantity.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace corral;
using namespace std::chrono_literals;

TEST_CASE("durations are read as Go writes them") {
    // Guards: units, sums, fractions; never from more than zero to zero.
    const struct {
        const char* text;
        std::chrono::milliseconds value;
    } rows[] = {{"0", 0ms},
                {"250ms", 250ms},
                {"10s", 10s},
                {"1m30s", 90s},
                {"1.5h", 90min},
                {"0.5s", 500ms},
                {"100ns", 1ms},
                {"5us", 1ms},
                {"5µs", 1ms},
                {".5s", 500ms},
                {"1h0m0.25s", 3600250ms},
                {"876000h", 876000h}};
    for (const auto& row : rows) {
        CAPTURE(std::string(row.text));
        const auto value = parse_duration(row.text);
        REQUIRE(value.has_value());
        CHECK(*value == row.value);
    }
    for (const char* text : {"", "10", "s", "10 s", "-1s", "+1s", "1d", "1s2", "nans", "infs",
                             "1e3s", "876001h", "99999999999999999999999h", "1s ", "0x1s", "."}) {
        CAPTURE(std::string(text));
        CHECK(parse_duration(text).has_error());
    }
}

TEST_CASE("a bare number is seconds") {
    // Guards: no overflow and no negative or undefined duration.
    CHECK(*duration_from_seconds(0.25) == 250ms);
    CHECK(*duration_from_seconds(0.0001) == 1ms);
    CHECK(*duration_from_seconds(0) == 0ms);
    CHECK(duration_from_seconds(-1).has_error());
    CHECK(duration_from_seconds(1e300).has_error());
    CHECK(duration_from_seconds(std::numeric_limits<double>::quiet_NaN()).has_error());
    CHECK(duration_from_seconds(std::numeric_limits<double>::infinity()).has_error());
}

TEST_CASE("sizes know powers of 1000 and of 1024") {
    // Guards: the two families are not mixed up and nothing overflows.
    CHECK(*parse_size("0") == 0);
    CHECK(*parse_size("1024") == 1024);
    CHECK(*parse_size("64MiB") == 64ULL << 20);
    CHECK(*parse_size("64 MiB") == 64ULL << 20);
    CHECK(*parse_size("1kB") == 1000);
    CHECK(*parse_size("1KiB") == 1024);
    CHECK(*parse_size("18446744073709551615") == 18446744073709551615ULL);
    for (const char* text :
         {"", "MiB", "-1", "1.5MiB", "1M", "18446744073709551616", "16777216TiB", "0x10"}) {
        CAPTURE(std::string(text));
        CHECK(parse_size(text).has_error());
    }
}

TEST_CASE("a duration is spelled exactly") {
    // Guards: what a message shows is what was set.
    CHECK(format_duration(90s) == "90s");
    CHECK(format_duration(250ms) == "250ms");
    CHECK(format_duration(0ms) == "0s");
}

TEST_CASE("counts agree with their nouns") {
    // Guards: nobody reads "1 models".
    CHECK(counted(0, "model") == "0 models");
    CHECK(counted(1, "model") == "1 model");
    CHECK(counted(2, "model") == "2 models");
}
