// Chunked bodies: one row a case, each naming the rule it stands for; and where a body is cut into
// pieces does not matter.
#include "proxy/http/chunked.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace corral::http;
using namespace std::string_literals;

namespace {

using State = ChunkDecoder::State;

struct Decoded {
    State state = State::need_more;
    std::string payload;
    std::size_t consumed = 0;

    friend bool operator==(const Decoded&, const Decoded&) = default;
};

/// Feeds the pieces that `size_of(i)` cuts the body into.
template <class SizeOf>
Decoded decode(std::string_view body, SizeOf size_of) {
    ChunkDecoder decoder;
    Decoded out;
    for (std::size_t i = 0; !body.empty(); ++i) {
        auto piece = body.substr(0, size_of(i));
        body.remove_prefix(piece.size());
        while (!piece.empty()) {
            const auto step = decoder.feed(piece);
            out.state = step.state;
            out.consumed += step.consumed;
            out.payload += step.payload;
            piece.remove_prefix(step.consumed);
            CHECK(step.payload.empty() == (step.state != State::payload));
            if (step.state == State::done || step.state == State::error) {
                return out;
            }
        }
    }
    CHECK(decoder.payload_bytes() == out.payload.size());
    out.state = State::need_more;
    return out;
}

Decoded decode(std::string_view body) {
    return decode(body, [](std::size_t) { return std::string_view::npos; });
}

struct Row {
    State state;
    std::string_view rule;
    std::string body;
};

const std::string long_extension = "5;a=" + std::string(5'000, 'b') + "\r\nhello\r\n0\r\n\r\n";
const std::string long_trailer = "0\r\nA: " + std::string(9'000, 'b') + "\r\n\r\n";

const std::vector<Row> rows{
    {State::done, "RFC 9112 7.1", "5\r\nhello\r\n0\r\n\r\n"},
    {State::done, "RFC 9112 7.1: no chunk", "0\r\n\r\n"},
    {State::done, "RFC 9112 7.1: last chunk of zeros", "000\r\n\r\n"},
    {State::done, "RFC 9112 7.1: leading zeros", "0005\r\nhello\r\n0\r\n\r\n"},
    {State::done, "RFC 9112 7.1: upper and lower case",
     "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"},
    {State::done, "RFC 9112 7.1: CRLF in the payload", "4\r\n\r\n\r\n\r\n0\r\n\r\n"},
    {State::need_more, "cut in the size", "5"},
    {State::need_more, "cut in the payload", "5\r\nhel"},
    {State::need_more, "no last chunk", "5\r\nhello\r\n"},
    {State::need_more, "no final CRLF", "0\r\n"},
    {State::error, "no size", "\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size with a plus", "+5\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size with a minus (cpp-httplib 0.43.4)", "-5\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size with a leading space", " 5\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size with a trailing space", "5 \r\nhello\r\n0\r\n\r\n"},
    {State::error, "size with an underscore", "1_0\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size in letters", "g\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size in quotes", "\"5\"\r\nhello\r\n0\r\n\r\n"},
    {State::error, "size with a NUL", "5\0\r\nhello\r\n0\r\n\r\n"s},
    {State::error, "size with a high byte", "5\xa0\r\nhello\r\n0\r\n\r\n"},
    {State::error, "17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"},
    {State::done, "16 digits", "0000000000000005\r\nhello\r\n0\r\n\r\n"},
    {State::error, "2^64-1", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
    {State::error, "2^63", "8000000000000000\r\nhello\r\n0\r\n\r\n"},
    {State::error, "2^64+5 (wraps)", "10000000000000005\r\nhello\r\n0\r\n\r\n"},
    {State::error, "bare LF behind the size (CVE-2023-46121 class)", "5\nhello\r\n0\r\n\r\n"},
    {State::error, "bare CR behind the size", "5\rhello\r\n0\r\n\r\n"},
    {State::error, "CR CR LF behind the size", "5\r\r\nhello\r\n0\r\n\r\n"},
    {State::error, "bare LF behind the payload", "5\r\nhello\n0\r\n\r\n"},
    {State::error, "bare CR behind the payload", "5\r\nhello\r0\r\n\r\n"},
    {State::error, "nothing behind the payload", "5\r\nhello0\r\n\r\n"},
    {State::error, "payload longer than its size", "4\r\nhello\r\n0\r\n\r\n"},
    {State::error, "payload shorter than its size", "7\r\nhello\r\n0\r\n\r\n"},
    {State::error, "two bytes instead of CRLF (Akamai TERM.EXT)", "5\r\nhelloXX0\r\n\r\n"},
    {State::error, "bare LF at the end", "0\r\n\n"},
    {State::error, "bare LF behind the last chunk", "0\n\r\n"},
    {State::done, "RFC 9112 7.1.1: extension", "5;a=b\r\nhello\r\n0;x\r\n\r\n"},
    {State::done, "RFC 9112 7.1.1: quoted", "5;a=\"b;\\\" c\";d\r\nhello\r\n0\r\n\r\n"},
    {State::done, "RFC 9112 7.1.1: BWS", "5 ; a = b ;c\r\nhello\r\n0\r\n\r\n"},
    {State::error, "RFC 9112 7.1.1: trailing space", "5;a \r\nhello\r\n0\r\n\r\n"},
    {State::error, "RFC 9112 7.1.1: empty extension", "5;\r\nhello\r\n0\r\n\r\n"},
    {State::error, "RFC 9112 7.1.1: empty name", "5;=b\r\nhello\r\n0\r\n\r\n"},
    {State::error, "RFC 9112 7.1.1: empty value", "5;a=\r\nhello\r\n0\r\n\r\n"},
    {State::error, "RFC 9112 7.1.1: two equals", "5;a=b=c\r\nhello\r\n0\r\n\r\n"},
    {State::error, "RFC 9112 7.1.1: text behind a quote", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"},
    {State::error, "bare LF in an extension (funky chunks)", "5;a\nhello\r\n0\r\n\r\n"},
    {State::error, "bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"},
    {State::error, "LF in a quoted value", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"},
    {State::error, "NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n"s},
    {State::error, "CVE-2023-39326: endless extension", long_extension},
    {State::done, "RFC 9112 7.1.2: trailers", "0\r\nA: b\r\nC:\r\n\r\n"},
    {State::error, "RFC 9112 7.1.2: no colon", "0\r\nA\r\n\r\n"},
    {State::error, "RFC 9112 7.1.2: folded", "0\r\nA: b\r\n c\r\n\r\n"},
    {State::error, "RFC 9112 7.1.2: space before the colon", "0\r\nA : b\r\n\r\n"},
    {State::error, "RFC 9112 7.1.2: empty name", "0\r\n: b\r\n\r\n"},
    {State::error, "RFC 9112 7.1.2: bare LF", "0\r\nA: b\n\r\n"},
    {State::error, "RFC 9112 7.1.2: NUL", "0\r\nA: \0\r\n\r\n"s},
    {State::error, "RFC 9112 7.1.2: a request instead", "0\r\nGET / HTTP/1.1\r\n\r\n"},
    {State::error, "trailers beyond 8 kB", long_trailer},
};

}  // namespace

TEST_CASE("a chunked body has one reading or none") {
    for (const auto& row : rows) {
        CAPTURE(row.rule);
        CAPTURE(row.body.substr(0, 60));
        CHECK(static_cast<int>(decode(row.body).state) == static_cast<int>(row.state));
    }
}

TEST_CASE("where a chunked body is cut does not matter") {
    for (const auto& row : rows) {
        CAPTURE(row.rule);
        const auto whole = decode(row.body);
        CHECK(decode(row.body, [](std::size_t) { return std::size_t{1}; }) == whole);
        if (row.body.size() > 200) {
            continue;
        }
        for (std::size_t cut = 1; cut < row.body.size(); ++cut) {
            const auto split = decode(
                row.body, [&](std::size_t i) { return i == 0 ? cut : std::string_view::npos; });
            CHECK(split == whole);
        }
    }
}

TEST_CASE("payload comes out as it went in, whatever the chunks and pieces") {
    std::mt19937 random(20260822);
    const auto below = [&](std::size_t n) { return random() % n; };
    for (int round = 0; round < 200; ++round) {
        std::string payload, body;
        for (std::size_t n = below(6); n > 0; --n) {
            std::string chunk;
            for (std::size_t size = 1 + below(300); size > 0; --size) {
                chunk += static_cast<char>(below(256));
            }
            body +=
                std::string(chunk_prefix(chunk.size()).view()) + chunk + std::string(chunk_suffix);
            payload += chunk;
        }
        body += last_chunk;
        const auto decoded = decode(body + "GET ", [&](std::size_t) { return 1 + below(50); });
        CHECK(decoded.state == State::done);
        CHECK(decoded.payload == payload);
        CHECK(decoded.consumed == body.size());
    }
}

TEST_CASE("what follows the body is left for the next message") {
    ChunkDecoder decoder;
    const auto step = decoder.feed("0\r\n\r\nGET / HTTP/1.1\r\n");
    CHECK(step.state == State::done);
    CHECK(step.consumed == 5);
    CHECK(decoder.done());
    CHECK(decoder.feed("more").consumed == 0);
}

TEST_CASE("a chunk is passed on as it came only when we would have written it so") {
    // Guards: canonical form; what another reader may not understand is written anew.
    const auto whole = [](std::string_view body) {
        ChunkDecoder decoder;
        return std::string(decoder.feed(body).chunk);
    };
    CHECK(whole("a\r\n0123456789\r\n0\r\n\r\n") == "a\r\n0123456789\r\n");
    CHECK(whole("10\r\n0123456789abcdef\r\n").size() == 22);
    CHECK(whole("A\r\n0123456789\r\n").empty());
    CHECK(whole("0a\r\n0123456789\r\n").empty());
    CHECK(whole("a;x\r\n0123456789\r\n").empty());
    CHECK(whole("a\r\n0123456789\r").empty());
    CHECK(whole("a\r\n01234").empty());
}

TEST_CASE("a failed decoder stays failed and says why") {
    ChunkDecoder decoder;
    CHECK(decoder.feed("x").state == State::error);
    CHECK_FALSE(decoder.reason().empty());
    CHECK(decoder.feed("0\r\n\r\n").state == State::error);
    CHECK_FALSE(decoder.done());
}

TEST_CASE("many small chunks pass, many small chunks with fat lines do not") {
    std::string plain, fat;
    for (int i = 0; i < 20'000; ++i) {
        plain += "1;id=12345\r\nx\r\n";
        fat += "1;a=" + std::string(200, 'b') + "\r\nx\r\n";
    }
    CHECK(decode(plain + "0\r\n\r\n").state == State::done);
    CHECK(decode(fat + "0\r\n\r\n").state == State::error);
}

TEST_CASE("a size line is hexadecimal") {
    CHECK(chunk_prefix(26).view() == "1a\r\n");
    CHECK(chunk_prefix(0xffff'ffff'ffff'ffffULL).view() == "ffffffffffffffff\r\n");
}
