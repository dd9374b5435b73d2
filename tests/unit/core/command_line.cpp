// core/command_line: words as llama-swap's users know them, and quoting that survives the way back.
#include "core/command_line.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace corral;
using Words = std::vector<std::string>;

TEST_CASE("a command line is split by the quoting rules of POSIX sh") {
    // Guards: each row's words are what `sh` would pass to the program, without any expansion.
    const struct {
        const char* text;
        Words words;
    } rows[] = {
        {"", {}},
        {" \t\r\n ", {}},
        {"llama-server -m a.gguf", {"llama-server", "-m", "a.gguf"}},
        {"a\nb\r\nc\td", {"a", "b", "c", "d"}},
        {"a '' \"\"", {"a", "", ""}},
        {"'a b'\"c d\"e\\ f", {"a bc de f"}},
        {R"(a\"b "c\"d" 'e\f' "g\h" "\\" "\$" "\`")",
         {"a\"b", "c\"d", "e\\f", "g\\h", "\\", "$", "`"}},
        {"$HOME ~ * a;b|c & > <", {"$HOME", "~", "*", "a;b|c", "&", ">", "<"}},
        {"a #b", {"a", "#b"}},
        {"--jinja '{\"a\": 1}'", {"--jinja", "{\"a\": 1}"}},
        {"é \"ü\"", {"é", "ü"}},
        {"${PORT} \"${PORT}\"", {"${PORT}", "${PORT}"}},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.text));
        const auto words = split_command_line(row.text);
        REQUIRE(words.has_value());
        CHECK(*words == row.words);
    }
}

TEST_CASE("comment lines and continuations are those of llama-swap") {
    // Guards: whole lines are looked at before quotes, blanks after a backslash do not matter.
    const struct {
        const char* text;
        Words words;
    } rows[] = {
        {"a \\\n  b \\\n  c", {"a", "b", "c"}},
        {"a\\  \nb", {"a", "b"}},
        {"a \\", {"a"}},
        {"# only\n  # comments", {}},
        {"a\n  # don't stop here\nb", {"a", "b"}},
        {"a \\\n# in between \\\n b", {"a", "b"}},
        {"'{\n  # dropped\n\"k\":1}'", {"{\n\"k\":1}"}},
        {"a#b\n -x #y", {"a#b", "-x", "#y"}},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.text));
        const auto words = split_command_line(row.text);
        REQUIRE(words.has_value());
        CHECK(*words == row.words);
    }
}

TEST_CASE("an unterminated quote is an error that says so") {
    // Guards safety.md case 116.
    for (const char* text : {"'abc", "a \"b", "\"a\\\"", "'", "\"", "a 'b\n# '"}) {
        CAPTURE(std::string(text));
        const auto words = split_command_line(text);
        REQUIRE(words.has_error());
        CHECK(words.error().is(Errc::invalid_config));
        CHECK(words.error().detail.find("unterminated") != std::string::npos);
    }
}

TEST_CASE("comment lines can be dropped without touching the rest") {
    // Guards: macros in comments are never looked at; other bytes stay.
    CHECK(strip_comment_lines("") == "");
    CHECK(strip_comment_lines("a\n #b ${x}\nc\n") == "a\nc\n");
    CHECK(strip_comment_lines("#a\n\nb #c") == "\nb #c");
    CHECK(strip_comment_lines("#a") == "");
    CHECK(strip_comment_lines("a\\\n  b") == "a\\\n  b");
}

TEST_CASE("quote_word comes back from the splitter byte for byte") {
    // Guards safety.md case 140: any file name survives writing, loading and splitting.
    for (const std::string word :
         {"",     "a",        "a b",     "-m",    "$(touch pwn)", "`id`", "a;reboot", "a'b\"",
          "a\nb", "a\\",      "a\\\nb",  "a\n#b", "a\n  #b",      "\n",   "\n\n",     "a\\ \nb",
          "#",    "a${PORT}", "a: b #c", "'",     "''",           "\\'",  "\xff\xfe", "a\r\n\\\r\n",
          "x ",   "\t"}) {
        CAPTURE(word);
        const auto words = split_command_line("x " + quote_word(word) + " y");
        REQUIRE(words.has_value());
        CHECK(*words == Words{"x", word, "y"});
    }
    CHECK(quote_word("/models/llama-3.2_Q4@1+b,c=d%e:f.gguf") ==
          "/models/llama-3.2_Q4@1+b,c=d%e:f.gguf");
}

TEST_CASE("random words come back, too") {
    // Guards the same property on 20 000 words made of the characters that matter.
    const std::string letters = "a '\"\\\n#$\t\r-\v";
    std::mt19937 random(7);
    for (int round = 0; round < 20'000; ++round) {
        std::string word;
        for (auto n = random() % 12; n > 0; --n) {
            word += letters[random() % letters.size()];
        }
        const auto words = split_command_line(quote_word(word) + "\n" + quote_word(word));
        REQUIRE(words.has_value());
        REQUIRE(*words == Words{word, word});
    }
}

TEST_CASE("more words than a program can be given are refused") {
    // Guards: a word takes far more memory than the two bytes that ask for it.
    std::string text;
    for (int i = 0; i < 250'000; ++i) {
        text += "x ";
    }
    CHECK(split_command_line(text).value().size() == 250'000);
    text += "y";
    const auto refused = split_command_line(text);
    REQUIRE(!refused);
    CHECK(refused.error().detail.find("more than 250000 words") != std::string::npos);
}
