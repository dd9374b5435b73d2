// core/load/yaml_scalar: the rows were produced by gopkg.in/yaml.v3 v3.0.1 itself, by decoding
// `a: TEXT` into any, and after encoding that again into int, bool and string.
#include "core/load/yaml_scalar.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

using namespace corral::load;

namespace {

struct Row {
    const char* text;
    Value value;
};

}  // namespace

TEST_CASE("plain scalars have the type that yaml.v3 gives them") {
    // Guards: a value means in Corral what it means in llama-swap.
    using I = std::int64_t;
    const Row rows[] = {
        {"12", I{12}},
        {"-5", I{-5}},
        {"+5", I{5}},
        {"0x1f", I{31}},
        {"0X1F", I{31}},
        {"-0x1f", I{-31}},
        {"0x_1", I{1}},
        {"0o14", I{12}},
        {"+0o7", I{7}},
        {"0O7", I{7}},
        {"014", I{12}},
        {"0b101", I{5}},
        {"-0b1", I{-1}},
        {"1_000", I{1000}},
        {"1_", I{1}},
        {"0", I{0}},
        {"-9223372036854775808", std::numeric_limits<I>::min()},
        {"9223372036854775808", std::uint64_t{9223372036854775808ULL}},
        {"18446744073709551615", std::uint64_t{18446744073709551615ULL}},
        {"99999999999999999999", 1e20},
        {"08", 8.0},
        {"1.5", 1.5},
        {"-.5", -0.5},
        {"+.5", 0.5},
        {"5.", 5.0},
        {"1e3", 1000.0},
        {"1.e5", 100000.0},
        {"0.1_0", 0.1},
        {".5_9", 0.59},
        {".5_", std::string(".5_")},
        {"1e-400", 0.0},
        {".inf", HUGE_VAL},
        {"-.Inf", -HUGE_VAL},
        {"1e400", std::string("1e400")},
        {".", std::string(".")},
        {"+", std::string("+")},
        {".e5", std::string(".e5")},
        {"0x", std::string("0x")},
        {"0o", std::string("0o")},
        {"0b", std::string("0b")},
        {"_1", std::string("_1")},
        {"1:30", std::string("1:30")},
        {"yes", std::string("yes")},
        {"on", std::string("on")},
        {"true", true},
        {"TRUE", true},
        {"False", false},
        {"tRUE", std::string("tRUE")},
        {"~", std::monostate{}},
        {"", std::monostate{}},
        {"null", std::monostate{}},
        {"nuLL", std::string("nuLL")},
        {"-", std::string("-")},
        {"inf", std::string("inf")},
        {"1.2.3", std::string("1.2.3")},
        {"127.0.0.1", std::string("127.0.0.1")},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.text));
        CHECK(resolve_plain(row.text) == row.value);
    }
    CHECK(std::isnan(std::get<double>(resolve_plain(".nan"))));
}

TEST_CASE("the old words for true and false count only where a bool is wanted") {
    // Guards: `unlisted: yes` works, `unlisted: "true"` does not, as in yaml.v3.
    for (const char* text : {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}) {
        CHECK(to_bool(resolve_plain(text)) == true);
    }
    for (const char* text : {"n", "N", "no", "No", "NO", "off", "Off", "OFF"}) {
        CHECK(to_bool(resolve_plain(text)) == false);
    }
    for (const char* text : {"yEs", "oN", "1", "0", "t"}) {
        CAPTURE(std::string(text));
        CHECK(to_bool(resolve_plain(text)) == std::nullopt);
    }
    CHECK(to_bool(std::string("true")) == std::nullopt);
}

TEST_CASE("numbers become whole numbers without undefined behaviour") {
    // Guards: cut like yaml.v3, refused when out of range or not a number.
    CHECK(to_integer(1.9) == 1);
    CHECK(to_integer(-1.9) == -1);
    CHECK(to_integer(1e20) == std::nullopt);
    CHECK(to_integer(HUGE_VAL) == std::nullopt);
    CHECK(to_integer(std::nan("")) == std::nullopt);
    CHECK(to_integer(std::uint64_t{18446744073709551615ULL}) == std::nullopt);
    CHECK(to_integer(std::string("12")) == std::nullopt);
    CHECK(to_integer(true) == std::nullopt);
}

TEST_CASE("values are printed as Go prints them") {
    // Guards: a macro in the middle of a text gives the bytes that llama-swap puts there.
    CHECK(to_text(1e6) == "1e+06");
    CHECK(to_text(999999.5) == "999999.5");
    CHECK(to_text(123456789.0) == "1.23456789e+08");
    CHECK(to_text(1e20) == "1e+20");
    CHECK(to_text(1e-5) == "1e-05");
    CHECK(to_text(0.0001) == "0.0001");
    CHECK(to_text(100000.0) == "100000");
    CHECK(to_text(0.0) == "0");
    CHECK(to_text(HUGE_VAL) == "+Inf");
    CHECK(to_text(true) == "true");
    CHECK(to_text(std::int64_t{-3}) == "-3");
}
