// core/load/json_value: values as JSON, spelled as Go spells them.
#include "core/load/json_value.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

using namespace corral::load;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();

std::string again(const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) {
        out += text;
    }
    return out;
}

}  // namespace

TEST_CASE("scalars are spelled as encoding/json does") {
    // Guards: byte for byte what llama-swap sends upstream inside of lists and maps.
    const std::pair<Value, std::string> rows[] = {
        {std::monostate{}, "null"},
        {true, "true"},
        {std::int64_t{-5}, "-5"},
        {std::uint64_t{18446744073709551615U}, "18446744073709551615"},
        {0.0, "0"},
        {-0.0, "-0"},
        {1.0, "1"},
        {0.7, "0.7"},
        {-12.5, "-12.5"},
        {123456789.0, "123456789"},
        {1e20, "100000000000000000000"},
        {123456789012345678901.0, "123456789012345680000"},
        {1e21, "1e+21"},
        {1.5e300, "1.5e+300"},
        {0.000001, "0.000001"},
        {0.00000012, "1.2e-7"},
        {-5e-324, "-5e-324"},
        {std::string("a\"\\\n\r\t\b\f\x01\x7f"), R"("a\"\\\n\r\t\b\f\u0001)"
                                                 "\x7f\""},
        {std::string("<a & b>"), R"("\u003ca \u0026 b\u003e")"},
        {std::string("é🦙\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
         "\"é🦙\\u2028\\u2029\xe2\x80\xaa\""},
        {std::string(), "\"\""},
        {std::string("a\xff\xc3(\xed\xa0\x80\xe0\x80\x80\xf4\x90\x80\x80\xf0\x9f\xa6"),
         R"("a\ufffd\ufffd()" + again(R"(\ufffd)", 13) + "\""},
    };
    for (const auto& [value, json] : rows) {
        CAPTURE(json);
        CHECK(json_of(value) == json);
    }
    CHECK(!json_of(not_a_number));
    CHECK(!json_of(-infinite));
}

TEST_CASE("a value by itself is spelled as sjson does") {
    // Guards: numbers without an exponent, and no escapes where none are needed.
    CHECK(plain_json_of(1e21) == "1000000000000000000000");
    CHECK(plain_json_of(1.2e-7) == "0.00000012");
    CHECK(plain_json_of(-0.5) == "-0.5");
    CHECK(plain_json_of(std::string("<|end|> & \x7f")) == "\"<|end|> & \x7f\"");
    CHECK(plain_json_of(std::string("<é>")) == R"("\u003cé\u003e")");
    CHECK(plain_json_of(std::string("<\">")) == R"("\u003c\"\u003e")");
    CHECK(plain_json_of(std::monostate{}) == "null");
    CHECK(plain_json_of(false) == "false");
    CHECK(!plain_json_of(infinite));
}
