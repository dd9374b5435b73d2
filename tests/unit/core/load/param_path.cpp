// core/load/param_path: which paths filters may name.
#include "core/load/param_path.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral::load;

TEST_CASE("a path names one place") {
    // Guards: the part of gjson's syntax that filters understand, and nothing beyond it.
    for (const char* path : {"a", "a.b", "a.0.b", "a.-1", "a\\.b", "a\\*", "a\\@b", ":0", "a.:1.b",
                             "é ü", "!x", "a\\\\"}) {
        CAPTURE(path);
        CHECK(param_path_mistake(path).empty());
    }
    CHECK(param_path_mistake("") == "it is empty");
    for (const char* path : {".", "a.", ".a", "a..b", ":", "a.:", "\\"}) {
        CAPTURE(path);
        CHECK(param_path_mistake(path) == "a part of it is empty");
    }
    for (const char* path : {"a*", "?", "a.#", "a.#.b", "a|b", "@this", "a.@reverse", "a@b"}) {
        CAPTURE(path);
        CHECK(param_path_mistake(path).find("does not name one place") != std::string::npos);
    }
    std::string deep = "a";
    for (int i = 0; i < 63; ++i) {
        deep += ".a";
    }
    CHECK(param_path_mistake(deep).empty());
    CHECK(param_path_mistake(deep + ".a") == "it has more than 64 parts");
}

TEST_CASE("the model is protected, however it is spelled") {
    // Guards: no setting changes what a request was routed by.
    for (const char* path : {"model", "model.x", "mo\\del", ":model", "model.0"}) {
        CAPTURE(path);
        CHECK(is_protected_path(path));
    }
    for (const char* path : {"models", "a.model", "model\\.x", "Model", ""}) {
        CAPTURE(path);
        CHECK(!is_protected_path(path));
    }
}
