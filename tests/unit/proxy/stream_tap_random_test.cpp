// The tap against a reader that keeps the whole answer and parses it, on answers that nobody would
// give: keys that matter in the wrong place, texts that look like keys, numbers of every kind.
#include "proxy/http/stream_tap.hpp"
#include "tests/support/rounds.hpp"
#include "tests/support/usage_reference.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace corral::http;

namespace {

class AnswerGenerator {
public:
    explicit AnswerGenerator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }

    std::string stream() {
        std::string out;
        for (auto lines = 1 + below(5); lines > 0; --lines) {
            out += line() + pick({"\n", "\n\n", "\r\n"});
        }
        if (below(4) == 0) {  // the end is missing
            out.resize(below(out.size() + 1));
        }
        return out;
    }

    std::string document() {
        if (below(4) != 0) {
            return space() + object(root, 3) + pick({"", "\n", " \r\n"});
        }
        std::string out = "[";
        for (auto elements = below(4); elements > 0; --elements) {
            out += (out.size() == 1 ? "" : ",") + (below(4) == 0 ? value(1) : object(root, 2));
        }
        return out + "]";
    }

    std::string damaged(std::string text) {
        constexpr std::string_view bytes = "\"\\{}[]:,0-.eEtfn u\n\x80";
        if (!text.empty()) {
            text[below(text.size())] = bytes[below(bytes.size())];
        }
        return text;
    }

private:
    using Names = std::vector<std::string>;

    static inline const Names root{"usage",   "usage",     "timings", "metrics", "response",
                                   "message", "\\\"usage", "Usage",   "usage ",  "choices"};
    static inline const Names usage{
        "prompt_tokens",           "input_tokens",         "completion_tokens",     "output_tokens",
        "cache_read_input_tokens", "input_tokens_details", "prompt_tokens_details", "usage"};
    static inline const Names details{"cached_tokens", "audio_tokens"};
    static inline const Names timings{"prompt_n",  "predicted_n",  "prompt_per_second",
                                      "prompt_ms", "predicted_ms", "predicted_per_second",
                                      "cache_n",   "draft_n",      "draft_n_accepted"};
    static inline const Names metrics{"time_to_first_token_ms", "mean_itl_ms",
                                      "speculative_decoding"};
    static inline const Names speculation{"num_draft_tokens", "num_accepted_draft_tokens"};

    /// The keys that belong behind this one; now and then others.
    const Names& behind(const std::string& key) {
        const std::string meant = below(8) == 0 ? pick(root) : key;
        return meant == "usage"                  ? usage
               : meant == "timings"              ? timings
               : meant == "metrics"              ? metrics
               : meant == "speculative_decoding" ? speculation
               : meant.ends_with("_details")     ? details
                                                 : root;
    }

    std::string pick(const Names& from) { return from[below(from.size())]; }

    std::string space() { return pick({"", "", "", "", " ", "\t", "  "}); }

    std::string line() {
        switch (below(12)) {
            case 0:
                return pick(
                    {"data: [DONE]", "data:", "data", ": comment", "event: usage", "id: 1"});
            case 1:
                return pick({" data: ", "Data: ", "datum: ", "event: "}) + object(root, 2);
            case 2:
                return "data: [" + object(root, 1) + "]";
            case 3:
                return "data: " + object(root, 2) + pick({" x", "{}", ",", "]"});
            default:
                return pick({"data: ", "data:", "data: \t"}) + object(root, 3) + space();
        }
    }

    std::string number() {
        return pick({"0", "1", "2", "17", "4096", "-1", "-0", "0.5", "12.75", "1e3", "1.5E+2",
                     "9007199254740992", "9007199254740994", "18446744073709551616", "1e308",
                     "0.000123", "1e-300"});
    }

    std::string string() {
        return pick({R"("")", R"("text")", R"("\"usage\":{\"prompt_tokens\":99}")", R"("}")",
                     R"("\\")", R"("\\\"")", R"("{[")", R"("é 😀")",
                     R"("0123456789 0123456789 0123456789 0123456789 }")", R"("5")"});
    }

    std::string value(std::size_t depth) {
        switch (below(depth == 0 ? 5 : 8)) {
            case 0:
                return string();
            case 1:
                return pick({"null", "true", "false"});
            case 2:
            case 3:
            case 4:
                return number();
            case 5:
                return "[" + space() + value(depth - 1) + "," + object(usage, depth - 1) + "]";
            default:
                return object(below(2) == 0 ? root : timings, depth - 1);
        }
    }

    std::string object(const Names& names, std::size_t depth) {
        Names keys;
        for (auto count = below(7); count > 0; --count) {
            const auto key = pick(names);
            if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
                keys.push_back(key);
            }
        }
        std::string out = "{" + space();
        for (const auto& key : keys) {
            const bool is_object =
                (&names == &root || key.ends_with("_details") || key == "speculative_decoding") &&
                depth > 0 && below(8) != 0;
            out += (key == keys.front() ? "" : "," + space()) + '"' + key + '"' + space() + ":" +
                   space() +
                   (is_object ? object(behind(key), depth - 1)
                              : value(std::min<std::size_t>(depth, below(3)))) +
                   space();
        }
        return out + "}";
    }

    std::mt19937 random_;
};

Usage tapped_in_pieces(std::string_view body, bool events, std::size_t piece) {
    StreamTap tap(events ? "text/event-stream" : "application/json", "");
    for (std::size_t at = 0; at < body.size(); at += piece) {
        tap.feed(body.substr(at, piece));
    }
    return tap.finish();
}

Usage tapped_in_two(std::string_view body, bool events, std::size_t cut) {
    StreamTap tap(events ? "text/event-stream" : "application/json", "");
    tap.feed(body.substr(0, cut));
    tap.feed(body.substr(cut));
    return tap.finish();
}

}  // namespace

TEST_CASE("tap and parser agree on 8,000 generated answers, in pieces of any size") {
    // Guards: what is read in passing is what the whole answer says, wherever it is cut.
    AnswerGenerator generate(4);
    std::size_t telling = 0;
    std::size_t compared = 0;
    for (int round = 0; round < corral::test::rounds(8'000); ++round) {
        const bool events = round % 3 != 0;
        auto body = events ? generate.stream() : generate.document();
        if (round % 5 == 0) {
            body = generate.damaged(body);
        }
        CAPTURE(body);
        const auto whole = tapped_in_pieces(body, events, body.size() + 1);
        for (std::size_t piece = 1; piece < 12; ++piece) {
            REQUIRE(tapped_in_pieces(body, events, piece) == whole);
        }
        for (int cuts = 0; cuts < 8; ++cuts) {
            REQUIRE(tapped_in_two(body, events, generate.below(body.size() + 1)) == whole);
        }
        if (reference::Comparable::body(body, events)) {
            REQUIRE(whole == reference::usage(body, events));
            telling += whole == Usage() ? 0 : 1;
            ++compared;
        }
    }
    CHECK(compared > corral::test::rounds(4'000));  // the generator makes all kinds
    CHECK(telling > corral::test::rounds(1'500));
}
