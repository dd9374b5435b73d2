// Guards: a path of a config means the place that sjson would write to, or is refused as naming
// none or several; nothing is guessed.
#include "proxy/http/json_path.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;
using namespace corral::http;

namespace {

/// The steps of a path: `key`, `key[index]`, `-1$` for the end; "refused" when it is.
std::string steps(std::string_view text) {
    const auto path = parse_json_path(text);
    if (!path) {
        return path.error().is(Errc::unsupported) ? "refused" : "another error";
    }
    std::string out;
    for (const auto& step : *path) {
        out += out.empty() ? "" : " ";
        out += step.key;
        out += step.index ? "[" + std::to_string(*step.index) + "]" : "";
        out += step.is_end ? "$" : "";
    }
    return out;
}

}  // namespace

TEST_CASE("keys, indexes, the end, escapes and forced keys") {
    // Guards: each form of a step is read as sjson reads it.
    struct Row {
        const char* text;
        const char* want;
    };
    const Row rows[] = {
        {"a", "a"},
        {"nested.key", "nested key"},
        {"a.0", "a 0[0]"},
        {"a.07.b", "a 07[7] b"},
        {"a.-1", "a -1$"},
        {"a.-2", "a -2"},
        {"a.:0", "a 0"},
        {":-1.x", "-1 x"},
        {R"(a\.b.c)", "a.b c"},
        {R"(a\\b)", R"(a\b)"},
        {R"(a\*\?\#\|\@b)", "a*?#|@b"},
        {R"(a\:b)", "a:b"},
        {R"(\:0)", ":0"},
        {"a:b", "a:b"},
        {"a b", "a b"},
        {"\xc3\xa9.x", "\xc3\xa9 x"},
        {"12345678901234567890", "12345678901234567890"},
        {"999999999", "999999999[999999999]"},
        {R"(a\)", "a"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(steps(row.text) == row.want);
    }
}

TEST_CASE("what names no place, or several, is refused with its reason") {
    // Guards: wildcards, queries and empty steps are never taken for keys.
    for (const auto* text : {"", ".", "a.", ".a", "a..b", ":", "a.:", "a*", "a?", "a.#", "a.#.b",
                             "a.#(x==1)", "a|b", "@this", "\\"}) {
        CAPTURE(text);
        CHECK(steps(text) == "refused");
    }
    CHECK(parse_json_path("a.*").error().detail.find("\"a.*\"") != std::string::npos);
}

TEST_CASE("a path is no longer than its limit") {
    // Guards: editing recurses by the path, so that its length is bounded.
    std::string text = "a";
    for (std::size_t i = 1; i < json_path_steps_max; ++i) {
        text += ".a";
    }
    CHECK(parse_json_path(text).value().size() == json_path_steps_max);
    CHECK(steps(text + ".a") == "refused");
}
