// core/yaml_writer: what is written as YAML is read back as it was.
#include "core/yaml_writer.hpp"

#include "core/load/report.hpp"
#include "core/load/yaml_tree.hpp"
#include "tests/unit/core/json_of.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

using namespace corral;
using Json = nlohmann::ordered_json;

namespace {

/// The document that Corral's own reader finds in the text; null with a message when it is none.
Json read_back(const std::string& yaml) {
    load::Report report(yaml, "t.yaml");
    const auto tree = load::parse_yaml(yaml, nullptr, report);
    for (const auto& diagnostic : report.take()) {
        MESSAGE(format_diagnostic(diagnostic, false));
    }
    return tree ? test::json_of(*tree->root) : Json();
}

const std::string_view hostile[] = {
    "",           " ",           "a ",
    " a",         "\t",          "a\tb",
    "\n",         "a\nb",        "a\nb\n",
    "a\nb\n\n",   "\na",         " a\nb",
    "a\n b",      "a\n\nb",      "a\n   \nb",
    "a\r\nb",     "#a",          "a #b",
    "a#b",        "a: b",        "a:",
    ":a",         "a:b",         "- a",
    "-",          "-a",          "--- a",
    "---",        "...",         "? a",
    "?a",         "[a]",         "{a}",
    "a, b",       "&a",          "*a",
    "!a",         "|",           ">",
    "'a'",        "\"a\"",       "it's",
    "a\\b",       "\\",          "%YAML",
    "@a",         "`a`",         "<<",
    "=",          "~",           "null",
    "true",       "True",        "yes",
    "No",         "ON",          "off",
    "y",          "n",           "1",
    "1.0",        "0o14",        "017",
    "1_000",      ".inf",        "-.Inf",
    ".nan",       "+5",          "1e3",
    "2001-01-01", "12:30:45",    "0x",
    "1.2.3",      "C:\\x\\y",    "~/models",
    "./run",      "a\"b",        "\x01",
    "\x7f",       "caf\u00e9",   "\u0085",
    "\u00a0",     "\u2028",      "\ufeffa",
    "\U0001F600", "${env.HOME}", "a ${env.X} b",
    "${PORT}",    "a\n${env.X}", "a\n# b\n  c \\\n",
    "x\n---\ny",  "x\n\ty",
};

}  // namespace

TEST_CASE("every text is read back as it was, as a value, an item and a key") {
    // Guards: a dump or a generated config says what it was made of, whatever a name holds.
    for (const std::string_view text : hostile) {
        Json document;
        document["value"] = text;
        document["list"] = {text, {{"inner", text}}, {text, text}};
        document["map"][std::string(text)] = text;
        const std::string yaml = to_yaml(document);
        CAPTURE(yaml);
        CHECK(read_back(yaml) == document);
    }
}

TEST_CASE("documents of every shape are read back") {
    // Guards: nesting, empty containers and numbers.
    const Json document = Json::parse(R"({"a":{},"b":[],"c":[[],{},[1,[2,{"x":null}]]],
        "d":{"e":{"f":[{"g":1,"h":[true,false]},{"i":-1.5}]}},"n":18446744073709551615,
        "t":"one\ntwo","l":["one\ntwo\n",{"m":"one\ntwo"}]})");
    const std::string yaml = to_yaml(document);
    CAPTURE(yaml);
    CHECK(read_back(yaml) == document);
    CHECK(read_back(to_yaml(Json::object())) == Json::object());
    CHECK(read_back(to_yaml(Json("a: b"))) == Json("a: b"));
}

TEST_CASE("a key that is too long for one line is read back") {
    // Guards: YAML ends an implicit key after 1024 characters.
    Json document;
    document["a"][std::string(2000, 'k')] = {{"b", 1}};
    CHECK(read_back(to_yaml(document)) == document);
}

TEST_CASE("what is not UTF-8 becomes U+FFFD") {
    // Guards: a value of the environment may hold any byte, and YAML may not.
    CHECK(yaml_text("a\xff") == "a\xef\xbf\xbd");
    Json document;
    document["a"] = "x\n\xff";
    CHECK(read_back(to_yaml(document)).at("a") == "x\n\xef\xbf\xbd");
}

TEST_CASE("a command of several lines stays readable") {
    // Guards: people read a dump; commands are the larger part of it.
    Json document;
    document["cmd"] = "llama-server\n  --port ${PORT} \\\n  -m 'a b'\n";
    document["args"] = {"--ctx-size 4096", "yes"};
    CHECK(to_yaml(document) ==
          "cmd: |\n  llama-server\n    --port ${PORT} \\\n    -m 'a b'\nargs:\n"
          "  - --ctx-size 4096\n  - \"yes\"\n");
}
