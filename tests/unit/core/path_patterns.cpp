// core/path_patterns: which paths below /upstream load no model.
#include "core/path_patterns.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;

TEST_CASE("the default patterns are the endings of static files") {
    // Guards: llama-swap's default, to the letter.
    const PathPatterns patterns(default_ignore_paths());
    for (const char* path : {"/x.js", "x.css", "/a/b.json", "/favicon.ico", "/.txt", "/a.b.jpeg"}) {
        CAPTURE(path);
        CHECK(patterns.matches(path));
    }
    for (const char* path : {"", "/", "/js", "/x.js/", "/x.jsx", "/x.JS", "/v1/chat/completions"}) {
        CAPTURE(path);
        CHECK(!patterns.matches(path));
    }
}

TEST_CASE("a pattern is looked for anywhere in the path, as Go's MatchString does") {
    // Guards: unanchored matching, Perl classes, UTF-8, and that every pattern counts.
    const PathPatterns patterns(std::vector<std::string>{"sd\\w+/\\d", "^/é.$", "(", "(?i)LOG"});
    CHECK(patterns.matches("/a/sdapi/1"));
    CHECK(patterns.matches("/éé"));
    CHECK(patterns.matches("/catalogue"));
    CHECK(!patterns.matches("/a/sdapi/x"));
    CHECK(!patterns.matches("/ééé"));
    CHECK(!PathPatterns().matches("/x.js"));
}

TEST_CASE("a bad pattern is explained in Go's words") {
    // Guards: what a person reads, and that back-references are no pattern here.
    CHECK(path_pattern_mistake("").empty());
    CHECK(path_pattern_mistake("^/a{2,3}$").empty());
    CHECK(path_pattern_mistake("(") == "missing closing ): `(`");
    CHECK(path_pattern_mistake("x[a") == "missing closing ]: `[a`");
    CHECK(path_pattern_mistake("a(*)") == "missing argument to repetition operator: `*`");
    for (const char* pattern : {"*", "a**", "a)", "\\", "(?=x)", "(a)\\1", "a{2,1}", "\xff"}) {
        CAPTURE(pattern);
        CHECK(!path_pattern_mistake(pattern).empty());
    }
}
