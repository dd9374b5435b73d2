// core/log: whatever a client sends stays one field of one line.
#include "core/log.hpp"

#include <doctest/doctest.h>

#include <string>

using corral::log::clean;
using corral::log::value;

TEST_CASE("what would end a line or play with a terminal is shown as bytes") {
    // Guards: safety case 154, with everything that a terminal or an editor acts on.
    CHECK(clean("a\r\nb\x1b[31m\x7f\t") == "a\\x0d\\x0ab\\x1b[31m\\x7f\\x09");
    CHECK(clean(std::string_view("\0", 1)) == "\\x00");
    CHECK(clean("\xc2\x9b"
                "31m") == "\\xc2\\x9b31m");  // CSI as one character
    CHECK(clean("\xe2\x80\xae"
                "x") == "\\xe2\\x80\\xaex");            // right-to-left override
    CHECK(clean("\xe2\x80\xa8") == "\\xe2\\x80\\xa8");  // line separator
    CHECK(clean("\xff\xfe") == "\\xff\\xfe");
    CHECK(clean("\xc0\xaf") == "\\xc0\\xaf");                    // overlong
    CHECK(clean("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
    CHECK(clean("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");  // above U+10FFFF
    CHECK(clean("\xe4\xbd") == "\\xe4\\xbd");                    // cut off
    CHECK(clean("mod\xc3\xa8le \xe4\xbd\xa0 \xf0\x9f\x98\x80") ==
          "mod\xc3\xa8le \xe4\xbd\xa0 \xf0\x9f\x98\x80");
}

TEST_CASE("a long text is cut, whatever its escapes make of it") {
    // Guards: one line stays below 8 kB.
    CHECK(clean("abcdef", 3) == "abc…");
    CHECK(clean(std::string(100'000, '\n'), 512).size() < 530);
    CHECK(clean(std::string(512, 'x')) == std::string(512, 'x'));
}

TEST_CASE("a value that has blanks stands in quotes") {
    // Guards: a model's name cannot add fields to its line.
    CHECK(value("qwen3:4b") == "qwen3:4b");
    CHECK(value("") == "");
    CHECK(value("x status=200") == "\"x status=200\"");
    CHECK(value("x\" status=\"200") == "\"x\\\" status=\\\"200\"");
    CHECK(value("a\nb") == "a\\x0ab");
}
