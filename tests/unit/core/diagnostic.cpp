// core/diagnostic: what a person sees when a file has a mistake.
#include "core/diagnostic.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;

namespace {

Diagnostic sample() {
    return {.severity = Severity::warning,
            .file = "a.yaml",
            .line = 3,
            .column = 3,
            .message = "unknown key \"modles\"",
            .hint = "did you mean \"models\"?",
            .source = "  modles:"};
}

}  // namespace

TEST_CASE("a diagnostic shows place, line, caret and hint") {
    // Guards the form that editors and people parse.
    CHECK(format_diagnostic(sample(), false) ==
          "a.yaml:3:3: warning: unknown key \"modles\"\n"
          "    3 |   modles:\n"
          "      |   ^\n"
          "      = did you mean \"models\"?");
}

TEST_CASE("without a place only the file and the message are shown") {
    // Guards: no ":0:0" for mistakes of a whole file.
    Diagnostic whole;
    whole.file = "a.yaml";
    whole.message = "empty";
    CHECK(format_diagnostic(whole, false) == "a.yaml: error: empty");
}

TEST_CASE("bytes of the file never reach the terminal as control characters") {
    // Guards: an escape sequence in a config cannot repaint the screen, C1 controls included.
    Diagnostic bad = sample();
    bad.source =
        "a\x1b[2J\tb\xc2\x9b"
        "c";
    bad.message = "x\r\ny";
    bad.file = "a\nb";
    const auto text = format_diagnostic(bad, false);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find('\r') == std::string::npos);
    CHECK(text.find("\xc2\x9b") == std::string::npos);
    CHECK(text.find("a\\x1b[2J\tb\\x9bc") != std::string::npos);
    CHECK(text.find("a\\x0ab:3:3") == 0);
}

TEST_CASE("the caret counts characters, and a long line is cut around it") {
    // Guards: UTF-8 before the place does not move the caret, and a line of any length fits.
    Diagnostic wide = sample();
    wide.source = "é: x";
    wide.column = 5;
    CHECK(format_diagnostic(wide, false).find("| é: x\n      |    ^") != std::string::npos);
    wide.source = std::string(100'000, 'a') + "X" + std::string(100'000, 'b');
    wide.column = 100'001;
    const auto text = format_diagnostic(wide, false);
    CHECK(text.size() < 500);
    CHECK(text.find("aXb") != std::string::npos);
    wide.column = 1'000'000;
    CHECK(format_diagnostic(wide, false).size() < 500);
}

TEST_CASE("the caret stands below its character, whatever stands before it") {
    // Guards: tabs stay tabs in both lines, and what is escaped takes the columns that it takes.
    const struct {
        const char* source;
        int column;
        const char* shown;
    } rows[] = {
        {"\ta:\tx", 5, "| \ta:\tx\n      | \t  \t^"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x99: x", 12,
         "| \xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x99: x\n      |      ^"},
        {"\x01z", 2, "| \\x01z\n      |     ^"},
        {"abc", 99, "| abc\n      |    ^"},
        {"abc", 0, "| abc\n      | ^"},
        {"a\xff\x80z", 4, "^"},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.source));
        Diagnostic one = sample();
        one.source = row.source;
        one.column = row.column;
        const auto text = format_diagnostic(one, false);
        CAPTURE(text);
        CHECK(text.find(row.shown) != std::string::npos);
    }
}

TEST_CASE("colours only when asked for") {
    // Guards: logs and pipes stay plain.
    CHECK(format_diagnostic(sample(), false).find('\x1b') == std::string::npos);
    CHECK(format_diagnostic(sample(), true).find("\x1b[1;33mwarning\x1b[0m") != std::string::npos);
}

TEST_CASE("one error among warnings is enough") {
    // Guards: the gate between serving and refusing.
    std::vector<Diagnostic> list{sample()};
    CHECK(!has_errors(list));
    list.push_back({});
    CHECK(has_errors(list));
}
