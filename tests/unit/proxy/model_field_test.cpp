// The model is found wherever it stands, only JSON is accepted, and where a body is cut into pieces
// does not matter. body_random_test.cpp asks the same of documents that nobody wrote.
#include "proxy/http/model_field.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using namespace corral::http;
using namespace std::string_literals;

namespace {

struct Outcome {
    bool accepted = false;
    bool has_model = false;
    std::string model;
    std::pair<std::uint64_t, std::uint64_t> span{0, 0};
    bool stream = false;
    std::uint64_t offset = 0;
    std::string reason;

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome_of(ModelField& scanner) {
    const auto verdict = scanner.finish();
    return {verdict == Verdict::complete,
            scanner.has_model(),
            std::string(scanner.model()),
            scanner.span(),
            scanner.stream(),
            scanner.offset(),
            std::string(scanner.reason())};
}

/// Scans the text in two pieces.
Outcome scan(std::string_view text, std::size_t cut = std::string_view::npos) {
    ModelField scanner;
    static_cast<void>(scanner.feed(text.substr(0, cut)));
    if (cut < text.size()) {
        static_cast<void>(scanner.feed(text.substr(cut)));
    }
    return outcome_of(scanner);
}

Outcome scan_bytewise(std::string_view text) {
    ModelField scanner;
    for (const char c : text) {
        static_cast<void>(scanner.feed({&c, 1}));
    }
    return outcome_of(scanner);
}

std::string nested(std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
}

struct Found {
    std::string text;
    std::string model;
};

const std::vector<Found> found{
    {R"({"model":"a"})", "a"},
    {R"(  { "model" : "a" , "x":1 }  )", "a"},
    {R"({"messages":[{"model":"inner","content":"x"}],"model":"a"})", "a"},
    {R"({"x":{"model":"b"},"model":"a","y":{"model":"c"}})", "a"},
    {R"({"mod\u0065l":"a"})", "a"},
    {R"({"\u006d\u006F\u0064\u0065\u006c":"\u0061\/\"\\\n"})", "a/\"\\\n"},
    {R"({"model":"\ud83d\ude00 \u00e9 ß 😀"})", "😀 é ß 😀"},
    {R"({"model":123})", "123"},
    {R"({"model":-1.5e+3,"x":0})", "-1.5e+3"},
    {R"({"models":"b","mode":"c","modelx":"d","MODEL":"e","model":"a"})", "a"},
    {R"({"model":"a","messages":[],"n":[0,-0,1.5,2e5,1E-2,true,false,null,{}, []]})", "a"},
    {R"({"deep":)" + nested(127) + R"(,"model":"a"})", "a"},
};

const std::vector<std::string> without_model{
    "{}",
    "[]",
    "1",
    R"("model")",
    "null",
    R"(["model","a"])",
    "  0 ",
    R"({"a":"model"})",
    R"({"model":null})",
    R"({"model":true})",
    R"({"model":["a"]})",
    R"({"model":{"model":"a"}})",
    R"({"model":""})",
    R"([{"model":"a"}])",
    nested(128),
    "{\"x\":\"\\u0000 \x7f\"}",
};

const std::vector<std::string> malformed{
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "{]",
    "[}",
    "[1}",
    R"({"a":1])",
    "{}{}",
    "{} x",
    "1 2",
    "[1,]",
    "[,1]",
    "[1 2]",
    R"({"a"})",
    R"({"a":})",
    R"({"a":1,})",
    R"({,"a":1})",
    R"({"a":1 "b":2})",
    R"({"a" 1})",
    R"({a:1})",
    R"({'a':1})",
    R"({1:1})",
    "nul",
    "nulll",
    "tru",
    "True",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1.e5",
    "1e",
    "1e+",
    "0x1",
    "1_0",
    "--1",
    R"(")",
    R"("a)",
    R"("\x")",
    R"("\u12")",
    R"("\u12g4")",
    R"("\)",
    R"("\ud800")",
    R"("\ud800x")",
    R"("\ud800\n")",
    R"("\ud800\ud800")",
    R"("\udc00")",
    "\"\n\"",
    "\"\t\"",
    "\"a\0b\""s,
    "\"\x1f\"",
    "\"\x80\"",
    "\"\xc0\xaf\"",
    "\"\xc3\"",
    "\"\xc3(\"",
    "\"\xe0\x80\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf8\x88\x80\x80\x80\"",
    "\"\xff\"",
    "\xef\xbb\xbf{}",
    "{}\0"s,
    "\0{}"s,
    "// c\n{}",
    "/* c */{}",
    "{}//",
    "\xa0{}",
    "{\f}",
    R"({"model":"a","model":"a"})",
    R"({"model":"a","mod\u0065l":"b"})",
    R"({"model":1,"model":null})",
    nested(129),
    R"({"model":"a", bad)",
    "xx",
};

/// nlohmann takes a byte-order mark, ends at a NUL, and does not count depth or duplicates.
bool is_known_difference(std::string_view text) {
    return text.starts_with("\xef\xbb\xbf") || text.find('\0') != std::string_view::npos ||
           text.find("model") != std::string_view::npos || text.starts_with("[[[");
}

}  // namespace

TEST_CASE("the top-level model is found, however it is written and wherever it stands") {
    for (const auto& [text, model] : found) {
        CAPTURE(text);
        const auto whole = scan(text);
        CHECK(whole.accepted);
        CHECK(whole.model == model);
        const auto json = nlohmann::json::parse(text);
        const auto [begin, end] = whole.span;
        const auto raw = nlohmann::json::parse(text.substr(begin, end - begin));
        CHECK(raw == json.at("model"));  // the span is exactly the value
    }
}

TEST_CASE("documents that name no model are accepted without one") {
    for (const auto& text : without_model) {
        CAPTURE(text);
        const auto whole = scan(text);
        CHECK(whole.accepted);
        CHECK_FALSE(whole.has_model);
        CHECK(whole.model.empty());
    }
}

TEST_CASE("what is not one clean JSON document is refused with a reason") {
    for (const auto& text : malformed) {
        CAPTURE(text);
        const auto whole = scan(text);
        CHECK_FALSE(whole.accepted);
        CHECK_FALSE(whole.reason.empty());
        CHECK(whole.offset <= text.size());
        if (!is_known_difference(text)) {
            CHECK_FALSE(nlohmann::json::accept(text));
        }
    }
}

TEST_CASE("where a body is cut does not matter") {
    std::vector<std::string> all = without_model;
    all.insert(all.end(), malformed.begin(), malformed.end());
    for (const auto& each : found) {
        all.push_back(each.text);
    }
    for (const auto& text : all) {
        CAPTURE(text);
        const auto whole = scan(text);
        CHECK(scan_bytewise(text) == whole);
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            CHECK(scan(text, cut) == whole);
        }
    }
}

TEST_CASE("the verdict turns to found as soon as the value ends") {
    ModelField scanner;
    CHECK(scanner.feed(R"({"model":"ab)") == Verdict::need_more);
    CHECK_FALSE(scanner.has_model());
    CHECK(scanner.feed(R"(c")") == Verdict::found);
    CHECK(scanner.model() == "abc");
    CHECK(scanner.span() == std::pair<std::uint64_t, std::uint64_t>{9, 14});
    CHECK(scanner.feed(R"(,"stream":true)") == Verdict::found);
    CHECK(scanner.feed("}") == Verdict::complete);
    CHECK(scanner.stream());
    CHECK(scanner.feed(" \n") == Verdict::complete);
    CHECK(scanner.finish() == Verdict::complete);
    CHECK(scanner.feed("x") == Verdict::malformed);
}

TEST_CASE("a number is known to be the model when it has ended") {
    ModelField scanner;
    CHECK(scanner.feed(R"({"model":12)") == Verdict::need_more);
    CHECK(scanner.feed("3") == Verdict::need_more);
    CHECK(scanner.feed(" ") == Verdict::found);
    CHECK(scanner.model() == "123");
    CHECK(scanner.span() == std::pair<std::uint64_t, std::uint64_t>{9, 12});
}

TEST_CASE("stream counts at the top level only, and the last one counts") {
    CHECK(scan(R"({"stream":true})").stream);
    CHECK_FALSE(scan(R"({"stream":false})").stream);
    CHECK_FALSE(scan(R"({"stream":"true"})").stream);
    CHECK_FALSE(scan(R"({"x":{"stream":true}})").stream);
    CHECK_FALSE(scan(R"({"stream":true,"stream":false})").stream);
    CHECK_FALSE(scan(R"({"stream":[true]})").stream);
}

TEST_CASE("errors say what is wrong and where") {
    const auto error_of = [](std::string_view text) {
        ModelField scanner;
        static_cast<void>(scanner.feed(text));
        CHECK(scanner.finish() == Verdict::malformed);
        return scanner.error();
    };
    const auto twice = error_of(R"({"model":"a","model":"b"})");
    CHECK(twice.is(Errc::malformed_json));
    CHECK(twice.blame == Blame::client);
    CHECK(twice.detail.find("more than once") != std::string::npos);
    CHECK(twice.detail.find("byte 19") != std::string::npos);
    CHECK(error_of(nested(200)).detail.find("128 levels") != std::string::npos);
    CHECK(error_of("").detail.find("empty") != std::string::npos);
    CHECK(error_of("{\"a\":").detail.find("ends in the middle") != std::string::npos);
}

TEST_CASE("a name is bounded") {
    const auto named = [](std::size_t size) {
        return scan(R"({"model":")" + std::string(size, 'a') + "\"}");
    };
    CHECK(named(ModelField::model_bytes_max).accepted);
    CHECK_FALSE(named(ModelField::model_bytes_max + 1).accepted);
    CHECK(scan("{\"" + std::string(100'000, 'k') + "\":1,\"model\":\"a\"}").model == "a");
}
