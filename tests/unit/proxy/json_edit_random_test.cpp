// Edits of text against edits of parsed documents, on documents that nobody would write by hand.
#include "proxy/http/body_model.hpp"
#include "tests/support/json_reference.hpp"
#include "tests/support/rounds.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using namespace corral::http;

namespace {

/// Documents and edits over so few keys that most paths lead somewhere.
class Generator {
public:
    explicit Generator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }

    std::string document(bool duplicates) {
        duplicates_ = duplicates;
        return space() + object(4) + space();
    }

    std::vector<JsonEdit> edits(std::size_t count) {
        std::vector<JsonEdit> out;
        while (out.size() < count) {
            JsonEdit edit;
            edit.path = path();
            if (below(2) == 0) {
                edit.kind = JsonEdit::Kind::remove;
            } else {
                edit.json = made_value();
            }
            out.push_back(std::move(edit));
        }
        return out;
    }

private:
    std::string space() {
        static constexpr std::string_view spaces[] = {"", "", "", " ", "\n  ", "\t", "\r\n"};
        return std::string(spaces[below(std::size(spaces))]);
    }

    /// Spellings of the keys that paths name, and keys that look like something else.
    std::string key(std::size_t number) {
        static const std::vector<std::vector<std::string>> spellings{
            {"a", "\\u0061"},        {"b", "\\u0062"},
            {"0", "\\u0030"},        {"1"},
            {"-1", "\\u002d1"},      {"x.y", "x\\u002ey"},
            {"q\\\"", "q\\u0022"},   {"\\\\", "\\u005c"},
            {"é", "\\u00e9"},        {"😀", "\\ud83d\\ude00", "\\uD83D\\uDE00"},
            {"a\\u0000", "a\\u0000"}};
        const auto& chosen = spellings[number % spellings.size()];
        return '"' + chosen[below(chosen.size())] + '"';
    }

    JsonPath path() {
        static const std::vector<std::string> steps{"a",  "b",   "0",     "1",   "-1",
                                                    ":0", ":-1", "x\\.y", "q\"", "\\\\",
                                                    "é",  "😀",  "7",     "new", "1500"};
        std::string text = steps[below(steps.size())];
        for (auto n = below(4); n > 0; --n) {
            text += "." + steps[below(steps.size())];
        }
        return parse_json_path(text).value();
    }

    std::string scalar() {
        static constexpr std::string_view scalars[] = {"1",
                                                       "-0",
                                                       "1.50e+1",
                                                       "true",
                                                       "false",
                                                       "null",
                                                       R"("")",
                                                       R"("}")",
                                                       R"("\\")",
                                                       R"("\"]")",
                                                       R"(",\"a\":1")",
                                                       R"("\u00e9 é")",
                                                       "12345678901234567890"};
        return std::string(scalars[below(std::size(scalars))]);
    }

    std::string made_value() {
        static constexpr std::string_view values[] = {
            "5", R"("text")", "[]", "{}", "[1,2]", R"({"a":{"b":[0]},"0":1})"};
        return std::string(values[below(std::size(values))]);
    }

    std::string value(std::size_t depth) {
        const auto kind = below(depth == 0 ? 1 : 3);
        return kind == 0 ? scalar() : kind == 1 ? object(depth - 1) : array(depth - 1);
    }

    std::string object(std::size_t depth) {
        std::string out = "{" + space();
        const auto first = below(11);
        const auto count = below(5);
        for (std::size_t i = 0; i < count; ++i) {
            const auto number = duplicates_ ? first + below(2) : first + i;
            out += (i == 0 ? "" : "," + space()) + key(number) + space() + ":" + space() +
                   value(depth) + space();
        }
        return out + "}";
    }

    std::string array(std::size_t depth) {
        std::string out = "[" + space();
        const auto count = below(4);
        for (std::size_t i = 0; i < count; ++i) {
            out += (i == 0 ? "" : "," + space()) + value(depth) + space();
        }
        return out + "]";
    }

    std::mt19937 random_;
    bool duplicates_ = false;
};

/// The most bytes that one edit may put into a document.
std::size_t bytes_of(const JsonEdit& edit) {
    std::size_t bytes = edit.json.size();
    for (const auto& step : edit.path) {
        bytes += step.key.size() * 2 + 6 + step.index.value_or(0) * 5;
    }
    return bytes;
}

}  // namespace

TEST_CASE("edits of text and of parsed documents agree on 100,000 documents") {
    // Guards: whatever the document, an edit does to its text what it means, and nothing else.
    Generator generate(7);
    std::size_t refused = 0;
    std::size_t changed = 0;
    for (int round = 0; round < corral::test::rounds(100'000); ++round) {
        const bool duplicates = round % 4 == 0;
        const auto text = generate.document(duplicates);
        const auto edits = generate.edits(1 + generate.below(4));
        CAPTURE(text);
        auto want = reference::Json::parse(text);
        const bool fits = reference::apply(want, edits);
        const auto got = edit_json(text, edits);
        if (!got) {  // with duplicates, one that nlohmann has not kept may be the one to blame
            REQUIRE(got.error().is(Errc::bad_request));
            REQUIRE((duplicates || !fits));
            ++refused;
            continue;
        }
        CAPTURE(*got);
        REQUIRE(fits);
        REQUIRE(reference::Json::parse(*got) == want);
        changed += *got != text ? 1 : 0;
    }
    CHECK(refused > corral::test::rounds(5'000));  // the generator makes all kinds
    CHECK(changed > corral::test::rounds(50'000));
}

TEST_CASE("one edit changes one stretch of the text, not longer than itself") {
    // Guards: bytes outside an edited path stay identical: number spelling, order, whitespace.
    Generator generate(11);
    std::size_t changed = 0;
    for (int round = 0; round < corral::test::rounds(30'000); ++round) {
        const auto text = generate.document(false);
        const auto edits = generate.edits(1);
        const auto got = edit_json(text, edits);
        if (!got) {
            continue;
        }
        CAPTURE(text);
        CAPTURE(*got);
        const auto common = reference::bytes_in_common(*got, text);
        const bool is_set = edits.front().kind == JsonEdit::Kind::set;
        REQUIRE(common + (is_set ? bytes_of(edits.front()) : 0) >= got->size());
        changed += common < text.size() || got->size() > text.size() ? 1 : 0;
    }
    CHECK(changed > corral::test::rounds(10'000));
}

TEST_CASE("where a body is cut does not matter to its edits") {
    // Guards: scanner and editor see the same document, at every split point.
    const std::vector<JsonEdit> edits = [] {
        std::vector<JsonEdit> out(3);
        out[0].path = parse_json_path("model").value();
        out[0].json = R"("real")";
        out[1].kind = JsonEdit::Kind::remove;
        out[1].path = parse_json_path("top_p").value();
        out[2].path = parse_json_path("n.k").value();
        out[2].json = "5";
        return out;
    }();
    const std::string_view rows[][2] = {
        {R"({"top_p":1,"model":"a"})", R"({"model":"real","n":{"k":5}})"},
        {R"( { "n":{"k" : 1.0} , "t\u006fp_p":[{}] , "mod\u0065l" : "a" } )",
         R"( { "n":{"k" : 5}  , "mod\u0065l" : "real" } )"},
        {R"({"x":"\"model\":1,\\","model":"\u0061\ud83d\ude00","n":[],"top_p":{"top_p":1}})", ""},
        {R"({"model":"é","n":null,"y":-1.50E+2})", R"({"model":"real","n":{"k":5},"y":-1.50E+2})"},
    };
    Fields fields;
    fields.add("Content-Type", "application/json");
    for (const auto& [body, want] : rows) {
        for (std::size_t cut = 0; cut <= body.size(); ++cut) {
            CAPTURE(body.substr(0, cut));
            BodyModel scanner(fields);
            std::string held;
            for (const auto piece : {body.substr(0, cut), body.substr(cut)}) {
                REQUIRE(scanner.feed(piece) != Verdict::malformed);
                held += piece;
            }
            REQUIRE(scanner.finish() == Verdict::complete);
            REQUIRE(scanner.has_model());
            const auto got = edit_json(held, edits);
            REQUIRE(got.has_value() == !want.empty());
            if (got) {
                CHECK(*got == want);
            }
        }
    }
}
