// core/load/yaml_tree: what yaml-cpp leaves out, and the bounds.
#include "core/load/yaml_tree.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral::load;

namespace {

struct Parsed {
    std::string text;
    std::optional<Tree> tree;
    std::vector<corral::Diagnostic> diagnostics;

    [[nodiscard]] std::string messages() const {
        std::string out;
        for (const auto& d : diagnostics) {
            out += std::to_string(d.line) + ":" + std::to_string(d.column) + " " + d.message + "\n";
        }
        return out;
    }
    [[nodiscard]] bool says(std::string_view what) const {
        return messages().find(what) != std::string::npos;
    }
};

Parsed parse(std::string text, const TreeLimits& limits = {}) {
    Parsed out{std::move(text), std::nullopt, {}};
    Report report(out.text, "t");
    const Environment environment = [](const std::string& name) -> std::optional<std::string> {
        return name == "SET"     ? std::optional<std::string>("a\"b\\c#d: e'${X}")
               : name == "N"     ? std::optional<std::string>("300")
               : name == "EMPTY" ? std::optional<std::string>("")
               : name == "LINES" ? std::optional<std::string>("a\nb")
               : name == "AGAIN" ? std::optional<std::string>(
                                       "${env.N}-\x01\x02"
                                       "env.N\x03")
                                 : std::nullopt;
    };
    out.tree = parse_yaml(out.text, environment, report, limits);
    out.diagnostics = report.take();
    return out;
}

std::string repeat(std::string_view piece, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) {
        out += piece;
    }
    return out;
}

}  // namespace

TEST_CASE("the tree has the places of the text") {
    // Guards: every later message points at the right byte, after a multi-byte character, too.
    const auto parsed = parse("é: 1\nb:\n  - x\n  - {c: \"y\"}\nd:\ne: |\n  t\n");
    REQUIRE(parsed.tree);
    const Node& root = *parsed.tree->root;
    REQUIRE(root.entries.size() == 4);
    CHECK(root.entries[0].value->mark.column == 5);
    const Node& item = *root.find("b")->items[1];
    CHECK(item.mark.line == 4);
    CHECK(item.mark.column == 5);
    CHECK(item.find("c")->tag == Tag::text);
    CHECK(root.find("d")->is_null());
    CHECK(root.find("d")->mark.line == 5);
    CHECK(root.find("e")->text == "t\n");
    CHECK(root.find("x") == nullptr);
}

TEST_CASE("BOM, CRLF, directives and an empty file are fine") {
    // Guards safety.md case 119 and the peer's empty file.
    for (const char* text :
         {"", "\n", "# only a comment\n", "---\n", "%YAML 1.1\n---\na: 1\n", "a: 1\r\nb: 2\r\n",
          "a: 1\n...\n", "a: !!binary aGk=\n", "a: !!python/object:x {}\n"}) {
        CAPTURE(std::string(text));
        const auto parsed = parse(text);
        CHECK(parsed.tree);
        CHECK(parsed.messages().empty());
    }
}

TEST_CASE("duplicate keys are errors that name both lines") {
    // Guards safety.md case 112: yaml-cpp takes them in silence.
    const auto parsed = parse("a: 1\nb:\n  c: 1\n  \"c\": 2\na: 2\nx: {y: 1, y: 2, y: 3}\n");
    CHECK(parsed.says("5:1 mapping key \"a\" already defined at line 1"));
    CHECK(parsed.says("4:3 mapping key \"c\" already defined at line 3"));
    CHECK(parsed.diagnostics.size() == 4);
}

TEST_CASE("merge keys are carried out") {
    // Guards: own keys win, then the earlier source; lists and chains work.
    const auto parsed = parse(
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
        "c: {<<: *a, y: 3}\nd: {<<: [*a, *b]}\ne: &e {<<: *b}\nf: {y: 4, <<: *e}\n"
        "g: {\"<<\": 1}\n");
    REQUIRE(parsed.tree);
    CHECK(parsed.messages().empty());
    const Node& root = *parsed.tree->root;
    CHECK(root.find("c")->find("x")->text == "1");
    CHECK(root.find("c")->find("y")->text == "3");
    CHECK(root.find("c")->find("<<") == nullptr);
    CHECK(root.find("d")->find("y")->text == "1");
    CHECK(root.find("d")->find("z")->text == "2");
    CHECK(root.find("f")->find("y")->text == "4");
    CHECK(root.find("f")->find("z")->text == "2");
    CHECK(root.find("g")->find("<<")->text == "1");
    CHECK(parse("a: {<<: 1}\n").says("map merge requires map or sequence of maps as the value"));
    CHECK(parse("a: &a [1]\nb: {<<: [*a]}\n").says("map merge requires"));
}

TEST_CASE("an alias inside its own anchor is an error, not a loop") {
    // Guards safety.md case 111.
    for (const char* text : {"a: &a {b: *a}\n", "&a [*a]\n", "a: &a [1, {c: [*a]}]\n"}) {
        CAPTURE(std::string(text));
        const auto parsed = parse(text);
        CHECK(!parsed.tree);
        CHECK(parsed.says("contains itself"));
    }
}

TEST_CASE("a billion laughs is cut by counted nodes") {
    // Guards safety.md case 109: each use of an alias costs the nodes below it.
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i <= 8; ++i) {
        const std::string last = std::to_string(i - 1);
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + last +
                repeat(", *a" + last, 8) + "]\n";
    }
    const auto parsed = parse(text);
    CHECK(!parsed.tree);
    CHECK(parsed.says("too many nodes"));
    const auto merges =
        parse("a: &a {" + repeat("k: 1, ", 0) + "x: 1}\nb: [" + repeat("{<<: *a}, ", 400) + "]\n",
              {.nodes_max = 1000});
    CHECK(merges.says("too many nodes"));
}

TEST_CASE("anchors are counted, and so is what the parser holds back") {
    // Guards: memory is bounded where the parser keeps something that is no node yet.
    CHECK(parse("- &a 1\n- &a 2\n- &b 3\n", {.nodes_max = 7}).tree);
    CHECK(parse("- &a 1\n- &a 2\n- &b 3\n", {.nodes_max = 6}).says("3:3 too many nodes"));
    const TreeLimits few{.held_weight_max = 30'000};
    for (const char* piece : {"[", "{a: ", "[],", "a,", "\"a\"", "'a' ", "a: ", "a #\n", "*a ",
                              "&a ", "!a ", "? ", "---\n", "...\n"}) {
        CAPTURE(std::string(piece));
        const auto parsed = parse("[" + repeat(piece, 30'000), few);
        CAPTURE(parsed.messages());
        CHECK(!parsed.tree);
        CHECK(parsed.says("too many nodes in one"));
    }
    // What is handed out piece by piece may be as long as it likes.
    CHECK(parse(repeat("- [a, b]\n", 20'000), few).tree);
    CHECK(parse("x: |\n" + repeat("  some words\n", 40'000), few).tree);
}

TEST_CASE("deep nesting is an error, not a crash") {
    // Guards safety.md case 110, through aliases as well.
    for (const auto& text : {repeat("[", 100'000), repeat("{a: ", 100'000), repeat("- ", 100'000),
                             repeat("? ", 100'000), repeat("[", 65) + repeat("]", 65)}) {
        const auto parsed = parse(text);
        CHECK(!parsed.tree);
        CHECK(!parsed.messages().empty());
    }
    CHECK(parse(repeat("[", 64) + repeat("]", 64)).tree);
    std::string chain = "a0: &a0 [x]\n";
    for (int i = 1; i < 100; ++i) {
        chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" +
                 std::to_string(i - 1) + "]\n";
    }
    CHECK(parse(chain).says("nested too deep"));
}

TEST_CASE("bytes that are not text are refused with their place") {
    // Guards safety.md case 108: NUL, invalid UTF-8, UTF-16, control characters.
    CHECK(parse(std::string("\0\xff", 2)).says("1:1 control characters are not allowed"));
    CHECK(parse("a: 1\nb: \xff\n").says("2:4 invalid UTF-8"));
    CHECK(parse("\xff\xfe"
                "a")
              .says("UTF-16"));
    CHECK(parse("a: \x1b[2J\n").says("1:4 control characters are not allowed"));
    CHECK(parse("a: \xc2\x9b\n").says("control characters"));
    CHECK(parse("a: \xed\xa0\x80\n").says("invalid UTF-8"));
    CHECK(parse("a: \xf4\x90\x80\x80\n").says("invalid UTF-8"));
    CHECK(parse("a: \xc0\x80\n").says("invalid UTF-8"));
    CHECK(parse("a: \xe2\x82").says("invalid UTF-8"));
    CHECK(parse("a: \xf0\x9f\xa6\x99\n").tree);
    CHECK(parse(std::string(100, 'a'), {.text_bytes_max = 99}).says("larger than 99 bytes"));
}

TEST_CASE("syntax mistakes are errors at their place") {
    // Guards: the peer refuses these; a tab in the indentation is named as such.
    const struct {
        const char* text;
        const char* says;
    } rows[] = {
        {"models:\n\ta: 1\n", "2:1 found character that cannot start any token: a tab"},
        {"models:\n  a:\n\tcmd: x\n", "3:1 found character that cannot start any token: a tab"},
        {"a: b: c\n", "1:5 not YAML"},
        {"a: [1\n", "not YAML"},
        {"a: @b\n", "1:4 not YAML"},
        {"a: *nope\n", "1:4 not YAML"},
        {"a: \"x\n", "1:4 found unexpected end of stream"},
        {"a: 'x''\n", "1:4 found unexpected end of stream"},
        {"a: &b \"x\n", "found unexpected end of stream"},
        {"a: !!str 'x\n", "found unexpected end of stream"},
        {"? [a]\n: b\n", "invalid map key"},
        {"{a: 1} b\n", "did not find expected <document start>"},
        {"a: 1\n- b\n", "not YAML"},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.text));
        const auto parsed = parse(row.text);
        CAPTURE(parsed.messages());
        CHECK(parsed.says(row.says));
    }
    CHECK(parse("a: 1\n---\nb: 2\n").says("2:1 only the first document"));
    CHECK(parse("a: 'x\\'\nb: \"\\\\\"\n").messages().empty());
}

TEST_CASE("environment variables are put in after parsing") {
    // Guards: quotes, colons and hashes in a value cannot change the file's structure, in any
    // context; the typing of a plain scalar is that of its value.
    const auto parsed = parse(
        "a: ${env.SET}\nb: \"x${env.SET}y\"\nc: '${env.SET}'\nd: [${env.N}, ${env.N}]\n"
        "e: ${env.EMPTY}\nf: |\n  ${env.SET}\n# ${env.UNSET}\n${env.N}: k\ng: ${env.1X} ${env.}\n");
    CAPTURE(parsed.messages());
    REQUIRE(parsed.tree);
    CHECK(parsed.messages().empty());
    const Node& root = *parsed.tree->root;
    const std::string value = "a\"b\\c#d: e'${X}";
    CHECK(root.find("a")->text == value);
    CHECK(root.find("a")->from_environment);
    CHECK(root.find("b")->text == "x" + value + "y");
    CHECK(root.find("c")->text == value);
    REQUIRE(root.find("d")->items.size() == 2);
    CHECK(root.find("d")->items[0]->text == "300");
    CHECK(root.find("d")->items[0]->tag == Tag::plain);
    CHECK(root.find("e")->is_null());
    CHECK(root.find("f")->text == value + "\n");
    CHECK(root.find("300") != nullptr);
    CHECK(root.find("g")->text == "${env.1X} ${env.}");
}

TEST_CASE("a variable's value is put in once") {
    // Guards: neither `${env.N}` in a value nor what stands for it inside is looked up again, and
    // two variables in one text each get their own value.
    const auto parsed = parse("a: x${env.AGAIN}y${env.N}\nb: ${env.N}${env.N}\n");
    REQUIRE(parsed.tree);
    CHECK(parsed.tree->root->find("a")->text ==
          "x${env.N}-\x01\x02"
          "env.N\x03y300");
    CHECK(parsed.tree->root->find("b")->text == "300300");
    CHECK(parse("a: ${env.N}${env.N}\n", {.text_bytes_max = 20}).tree);
    CHECK(parse("a: ${env.SET}\n", {.text_bytes_max = 14}).says("too large"));
}

TEST_CASE("an unset variable or one with line ends is an error where it is used") {
    // Guards safety.md case 120, with the peer's words.
    CHECK(
        parse("a: 1\nb: [x, ${env.UNSET}]\n").says("2:8 environment variable 'UNSET' is not set"));
    CHECK(parse("a: ${env.LINES}\n")
              .says("environment variable 'LINES' contains newlines or null bytes"));
}
