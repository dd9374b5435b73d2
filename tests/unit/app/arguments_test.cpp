// llama-swap's command lines become ours without a word changed.
#include "app/arguments.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using corral::normalize_arguments;
using Words = std::vector<std::string>;

TEST_CASE("every flag of llama-swap works with one dash or two, with = or a space") {
    struct Row {
        Words given;
        Words expected;
    };
    const Row rows[] = {
        {{}, {"serve"}},
        {{"-config", "a.yaml"}, {"serve", "--config", "a.yaml"}},
        {{"--config", "a.yaml"}, {"serve", "--config", "a.yaml"}},
        {{"-config=a.yaml", "-listen=:8080"}, {"serve", "--config=a.yaml", "--listen=:8080"}},
        {{"--listen", "127.0.0.1:1"}, {"serve", "--listen", "127.0.0.1:1"}},
        {{"-config-dir", "d"}, {"serve", "--config-dir", "d"}},
        {{"-tls-cert-file", "c", "-tls-key-file=k"},
         {"serve", "--tls-cert-file", "c", "--tls-key-file=k"}},
        {{"-watch-config"}, {"serve", "--watch-config"}},
        {{"-watch-config=true"}, {"serve", "--watch-config"}},
        {{"-watch-config=false"}, {"serve"}},
        {{"-version"}, {"--version"}},
        {{"--version"}, {"--version"}},
    };
    for (const auto& row : rows) {
        CHECK(normalize_arguments(row.given) == row.expected);
    }
}

TEST_CASE("a named command and its own flags stay as they are") {
    CHECK(normalize_arguments({"scan", "-o", "x"}) == Words{"scan", "-o", "x"});
    CHECK(normalize_arguments({"check", "--json"}) == Words{"check", "--json"});
    CHECK(normalize_arguments({"schema"}) == Words{"schema"});
    CHECK(normalize_arguments({"serve", "-config", "x"}) == Words{"serve", "--config", "x"});
    CHECK(normalize_arguments({"--help"}) == Words{"--help"});
    CHECK(normalize_arguments({"-h"}) == Words{"-h"});
}

TEST_CASE("nothing after a double dash is touched") {
    CHECK(normalize_arguments({"scan", "--", "-config"}) == Words{"scan", "--", "-config"});
}

TEST_CASE("a value that looks like a flag of the peer but is not one stays") {
    CHECK(normalize_arguments({"-confi", "x"}) == Words{"serve", "-confi", "x"});
    CHECK(normalize_arguments({"-c", "x"}) == Words{"serve", "-c", "x"});
}
