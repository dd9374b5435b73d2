// Scanner and splicer against nlohmann_json, which the engine uses, on bodies that nobody would
// send: at the edge of JSON, or just beyond it, and cut wherever a cut can matter.
#include "proxy/http/body_model.hpp"
#include "proxy/http/json_edit.hpp"
#include "tests/support/json_reference.hpp"
#include "tests/support/rounds.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::http;

namespace {

class BodyGenerator {
public:
    explicit BodyGenerator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }

    /// Near JSON: most are a document, some are one that is refused, some are none.
    std::string body() {
        std::string text = space() + document() + space();
        switch (below(8)) {
            case 0:
                return text + pick({"{}", "x", "\"", ",", "]", "}", "null", "\x80"});
            case 1:
                return text.substr(0, below(text.size() + 1));
            case 2:
            case 3:
                return damaged(text);
            default:
                return text;
        }
    }

    std::string name() {
        return pick({"real", "org/name:7b", "q\"uo\\te", "é 😀", "\n\t\x01", "0", ""});
    }

    std::vector<JsonEdit> edits() {
        std::vector<JsonEdit> out(1 + below(3));
        for (auto& edit : out) {
            edit.path =
                parse_json_path(pick({"stream", "n", "n.k", "new.0", "a.1", "models"})).value();
            edit.kind = below(2) == 0 ? JsonEdit::Kind::remove : JsonEdit::Kind::set;
            edit.json = pick({"1", "\"x\"", "[{}]"});
        }
        return out;
    }

private:
    using Texts = std::vector<std::string>;

    std::string pick(const Texts& from) { return from[below(from.size())]; }

    std::string space() { return pick({"", "", "", "", " ", "\t", "\r\n", "  \n"}); }

    std::string document() {
        if (below(40) == 0) {
            return pick({"[]", "{}", "1", "\"model\"", "null", "[{\"model\":\"a\"}]"});
        }
        std::string out = "{" + space();
        const auto members = below(4);
        const auto model_at = below(members + 2);  // now and then there is none
        for (std::size_t i = 0; i <= members; ++i) {
            if (i == model_at) {
                append(out, model());
            }
            append(out, key() + space() + ":" + space() + value(below(3)));
        }
        if (below(12) == 0) {
            append(out, model());
        }
        return out + space() + "}";
    }

    void append(std::string& out, const std::string& member) {
        out += (out.find('"') == std::string::npos ? "" : "," + space()) + member + space();
    }

    std::string model() {
        const auto spelling = pick({"model", "model", "model", "mod\\u0065l",
                                    "\\u006d\\u006F"
                                    "\\u0064\\u0065\\u006c",
                                    "mode\\u006C"});
        const auto kind = below(8);
        const auto called = kind == 0 ? number() : kind == 1 ? value(1) : string();
        return '"' + spelling + '"' + space() + ":" + space() + called;
    }

    std::string key() {
        return '"' +
               pick({"stream", "n", "a", "models", "mode", "model ", "Model", "mod\\u0065ls",
                     "m\\\\odel", "\\\"model", "messages", "é", "", "\\ud83d\\ude00"}) +
               '"';
    }

    std::string string() {
        static const Texts parts{"a",
                                 "bc",
                                 " ",
                                 "\\n",
                                 "\\\"",
                                 "\\\\",
                                 "\\/",
                                 "\\u0041",
                                 "é",
                                 "日本",
                                 "😀",
                                 "\\ud83d\\ude00",
                                 "{",
                                 "]",
                                 "\\u0000",
                                 "\x7f",
                                 ":",
                                 ",",
                                 "\\\"model\\\":\\\"x\\\"",
                                 "0123456789abcdef",
                                 "ÿ",
                                 "\xed\x9f\xbf",
                                 "\xf4\x8f\xbf\xbf"};
        std::string out = "\"";
        for (auto n = below(4); n > 0; --n) {
            out += parts[below(parts.size())];
        }
        return out + "\"";
    }

    std::string number() {
        return pick({"0", "-0", "12", "-3.25", "1e5", "2E-3", "0.1e+2", "12345678901234567890"});
    }

    std::string value(std::size_t depth) {
        switch (below(depth == 0 ? 4 : 6)) {
            case 0:
                return string();
            case 1:
                return number();
            case 2:
                return pick({"true", "false"});
            case 3:
                return "null";
            case 4:
                if (below(60) == 0) {  // at the limit of depth: one level is the document itself
                    const auto levels = 125 + below(5);
                    return std::string(levels, '[') + std::string(levels, ']');
                }
                return "[" + space() + value(depth - 1) + " ," + value(depth - 1) + "]";
            default:
                return below(4) == 0
                           ? "{" + space() + "}"
                           : "{" + space() + key() + ":" + value(depth - 1) + "," + model() + "}";
        }
    }

    std::string damaged(std::string text) {
        constexpr std::string_view bytes = "\"\\{}[]:,0-.eEtfnu \n\x01\x80\xc3\xed\xf4";
        const auto at = below(text.size());
        const char byte = bytes[below(bytes.size())];
        switch (below(3)) {
            case 0:
                text[at] = byte;
                return text;
            case 1:
                return text.insert(at, 1, byte);
            default:
                return text.erase(at, 1);
        }
    }

    std::mt19937 random_;
};

/// The scanner at the end of a body.
ModelField ended(ModelField scanner) {
    static_cast<void>(scanner.finish());
    return scanner;
}

ModelField scan_of(std::string_view text) {
    ModelField scanner;
    static_cast<void>(scanner.feed(text));
    return ended(std::move(scanner));
}

bool is_accepted(const ModelField& ended) {
    return ended.reason().empty();
}

bool say_the_same(const ModelField& a, const ModelField& b) {
    return a.reason() == b.reason() && a.has_model() == b.has_model() && a.model() == b.model() &&
           a.span() == b.span() && a.stream() == b.stream() && a.offset() == b.offset();
}

/// Whether a cut before this byte can matter: everywhere but inside a run of plain characters, of
/// which the first two and the last stand for the rest.
bool cut_matters(std::string_view text, std::size_t at) {
    const auto is_plain = [&](std::size_t i) {
        return i < text.size() &&
               (std::string_view("abcdef").find(text[i]) != std::string_view::npos);
    };
    return at < 2 || !is_plain(at - 2) || !is_plain(at - 1) || !is_plain(at) || !is_plain(at + 1);
}

/// Scans the text cut in two at every point that matters, and byte by byte.
void check_cuts(std::string_view text, const ModelField& whole) {
    ModelField front;
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        if (cut_matters(text, cut)) {
            ModelField scanner = front;
            static_cast<void>(scanner.feed(text.substr(cut)));
            static_cast<void>(scanner.finish());
            if (!say_the_same(scanner, whole)) {
                CAPTURE(cut);
                CAPTURE(scanner.reason());
                REQUIRE(scanner.model() == whole.model());
                REQUIRE(say_the_same(scanner, whole));
            }
        }
        static_cast<void>(front.feed(text.substr(cut, 1)));
    }
    REQUIRE(say_the_same(ended(std::move(front)), whole));
}

/// The body's scanner, fed in two pieces.
BodyModel scanned(std::string_view text, std::size_t cut) {
    Fields fields;
    fields.add("Content-Type", "application/json");
    BodyModel out(fields);
    static_cast<void>(out.feed(text.substr(0, cut)));
    static_cast<void>(out.feed(text.substr(cut)));
    static_cast<void>(out.finish());
    return out;
}

}  // namespace

TEST_CASE("scanner and parser agree on 100,000 generated bodies, cut where it matters") {
    // Guards: what is accepted is what the engine will read, and it is the same model, however the
    // bytes arrive; nothing is repaired, and a second model, depth and garbage are refused.
    BodyGenerator generate(42);
    std::size_t accepted = 0;
    std::size_t named = 0;
    for (int round = 0; round < corral::test::rounds(100'000); ++round) {
        const auto text = generate.body();
        CAPTURE(text);
        const auto whole = scan_of(text);
        REQUIRE(whole.offset() <= text.size());
        check_cuts(text, whole);
        const reference::Reading reading(text);
        if (reading.overflows()) {
            continue;
        }
        REQUIRE(is_accepted(whole) == reading.acceptable());
        if (is_accepted(whole)) {
            REQUIRE(whole.has_model() == !whole.model().empty());
            REQUIRE(reference::names_model(text, whole.model(), whole.span()));
            ++accepted;
            named += whole.has_model() ? 1 : 0;
        }
    }
    CHECK(accepted > corral::test::rounds(40'000));  // the generator makes all kinds
    CHECK(accepted < 70'000);
    CHECK(named > corral::test::rounds(25'000));
}

TEST_CASE("splicer and parser agree on 100,000 generated bodies") {
    // Guards: another name and the filters' edits change what they mean to and not a byte besides,
    // wherever the body was cut, and also when no more of it is held than up to the name.
    BodyGenerator generate(43);
    std::size_t renamed = 0;
    std::size_t edited = 0;
    for (int round = 0; round < corral::test::rounds(100'000); ++round) {
        const auto text = generate.body();
        const auto whole = scan_of(text);
        if (!is_accepted(whole) || !whole.has_model() || reference::Reading(text).overflows()) {
            continue;
        }
        CAPTURE(text);
        const auto scanner = scanned(text, generate.below(text.size() + 1));
        const auto name = generate.name();
        std::string body = text;
        REQUIRE(scanner.replace_model(body, name));
        CAPTURE(body);
        REQUIRE(body.starts_with(text.substr(0, whole.span().first)));
        REQUIRE(body.ends_with(text.substr(whole.span().second)));
        auto want = reference::Json::parse(text);
        want["model"] = name;
        REQUIRE(reference::Json::parse(body) == want);
        ++renamed;

        const auto held =
            whole.span().second + generate.below(text.size() - whole.span().second + 1);
        std::string front = text.substr(0, held);
        REQUIRE(scanner.replace_model(front, name));
        REQUIRE(front + text.substr(held) == body);

        const auto edits = generate.edits();
        const auto got = edit_json(body, edits);
        const bool fits = reference::apply(want, edits);
        if (got) {
            CAPTURE(*got);
            REQUIRE(fits);
            REQUIRE(reference::Json::parse(*got) == want);
            ++edited;
        }
    }
    CHECK(renamed > corral::test::rounds(25'000));
    CHECK(edited > corral::test::rounds(20'000));
}
