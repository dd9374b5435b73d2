// core/nearest: a suggestion only where it is likely what was meant.
#include "core/nearest.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>

using namespace corral;

TEST_CASE("the distance counts insertions, deletions, replacements and swaps") {
    // Guards: the four operations cost one each, letter case nothing.
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("models", "modles") == 1);
    CHECK(edit_distance("models", "model") == 1);
    CHECK(edit_distance("ttl", "TTL") == 0);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("ca", "abc") == 3);
}

TEST_CASE("the nearest name is suggested, and none when all are far") {
    // Guards: a typo finds its key, a foreign word finds nothing.
    constexpr std::array<std::string_view, 5> names{"models", "macros", "groups", "cmd", "cmdStop"};
    CHECK(nearest_name("modles", names) == "models");
    CHECK(nearest_name("Models", names) == "models");
    CHECK(nearest_name("cdm", names) == "cmd");
    CHECK(nearest_name("cmd_stop", names) == "cmdStop");
    CHECK(nearest_name("temperature", names).empty());
    CHECK(nearest_name("", names).empty());
    CHECK(nearest_name(std::string(100'000, 'm'), names).empty());
}
