// What an upstream's head may look like: one row a case, each naming the rule it stands for.
#include "proxy/http/error_body.hpp"
#include "proxy/http/head_rules.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using namespace corral::http;
using namespace std::string_literals;

namespace {

const Limits limits;

struct Row {
    bool accepted;
    std::string_view rule;
    std::string head;
};

std::string ok(const std::string& lines) {
    return "HTTP/1.1 200 OK\r\n" + lines + "\r\n";
}

void check(const std::vector<Row>& rows) {
    for (const auto& row : rows) {
        CAPTURE(row.rule);
        CAPTURE(row.head);
        const auto parsed = parse_response_head(row.head, {}, limits);
        CHECK(parsed.has_value() == row.accepted);
        if (!parsed) {
            CHECK(status_of(parsed.error()) == 502);
            CHECK(parsed.error().is(Errc::upstream_malformed));
        }
    }
}

Framing framing_of(const std::string& head, std::string_view method = "GET") {
    return parse_response_head(head, {method, {}}, limits).value().framing;
}

}  // namespace

TEST_CASE("status lines that are not clean are never passed on") {
    check({
        {true, "RFC 9112 4", ok("")},
        {true, "RFC 9112 4: empty reason", "HTTP/1.1 200 \r\n\r\n"},
        {true, "RFC 9112 4: no reason and no space", "HTTP/1.1 200\r\n\r\n"},
        {true, "RFC 9112 4: high bytes in the reason", "HTTP/1.1 200 d\xc3\xa9j\xc3\xa0\r\n\r\n"},
        {true, "HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"},
        {false, "RFC 9112 2.3: HTTP/2", "HTTP/2.0 200 OK\r\n\r\n"},
        {false, "RFC 9112 2.3: HTTP/0.9 body", "<html>hello</html>\r\n\r\n"},
        {false, "RFC 9112 2.3: lower case", "http/1.1 200 OK\r\n\r\n"},
        {false, "RFC 9112 2.3: ICY", "ICY 200 OK\r\n\r\n"},
        {false, "RFC 9112 4: leading empty line", "\r\nHTTP/1.1 200 OK\r\n\r\n"},
        {false, "RFC 9112 4: leading space", " HTTP/1.1 200 OK\r\n\r\n"},
        {false, "RFC 9112 4: two spaces", "HTTP/1.1  200 OK\r\n\r\n"},
        {false, "RFC 9112 4: tab", "HTTP/1.1\t200 OK\r\n\r\n"},
        {false, "RFC 9112 4: no status", "HTTP/1.1\r\n\r\n"},
        {false, "RFC 9112 4: two digits", "HTTP/1.1 20 OK\r\n\r\n"},
        {false, "RFC 9112 4: one digit at the line's end", "HTTP/1.1 2\r\n\r\n"},
        {false, "RFC 9112 4: two digits at the line's end", "HTTP/1.1 20\r\n\r\n"},
        {false, "RFC 9112 4: only a space behind the version", "HTTP/1.1 \r\n\r\n"},
        {false, "RFC 9112 4: four digits", "HTTP/1.1 2000 OK\r\n\r\n"},
        {false, "RFC 9112 4: letters", "HTTP/1.1 2xx OK\r\n\r\n"},
        {false, "RFC 9112 4: sign", "HTTP/1.1 +20 OK\r\n\r\n"},
        {false, "RFC 9110 15: 099", "HTTP/1.1 099 OK\r\n\r\n"},
        {false, "RFC 9110 15: 600", "HTTP/1.1 600 OK\r\n\r\n"},
        {false, "RFC 9112 4: NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n"s},
        {false, "RFC 9112 2.2: bare LF", "HTTP/1.1 200 OK\nX: a\r\n\r\n"},
        {false, "RFC 9112 2.2: bare CR", "HTTP/1.1 200 OK\rX: a\r\n\r\n"},
        {false, "a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {false, "empty", ""},
        {false, "RFC 9110 15.2.2: 101 unasked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
    });
}

TEST_CASE("answers with unclean fields or two lengths are never passed on") {
    check({
        {true, "fields", ok("A: b\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n")},
        {false, "RFC 9112 5.1: space before the colon", ok("A : b\r\n")},
        {false, "RFC 9112 5.2: folded", ok("A: b\r\n c\r\n")},
        {false, "RFC 9112 5: no colon", ok("A\r\n")},
        {false, "RFC 9112 5: empty name", ok(": b\r\n")},
        {false, "RFC 9110 5.5: NUL", ok("A: \0\r\n"s)},
        {false, "RFC 9110 5.5: bare CR", ok("A: b\rSet-Cookie: c\r\n")},
        {false, "look-alike", ok("Transfer_Encoding: chunked\r\n")},
        {true, "a length", ok("Content-Length: 5\r\n")},
        {false, "RFC 9112 6.3: differing lengths",
         ok("Content-Length: 5\r\nContent-Length: 6\r\n")},
        {false, "RFC 9112 6.3: equal lengths", ok("Content-Length: 5\r\nContent-Length: 5\r\n")},
        {false, "RFC 9112 6.3: list", ok("Content-Length: 5, 5\r\n")},
        {false, "RFC 9110 8.6: negative", ok("Content-Length: -1\r\n")},
        {false, "RFC 9110 8.6: 2^63-1", ok("Content-Length: 9223372036854775807\r\n")},
        {false, "RFC 9110 8.6: huge", ok("Content-Length: 99999999999999999999\r\n")},
        {false, "RFC 9110 8.6: text", ok("Content-Length: abc\r\n")},
        {false, "RFC 9110 8.6: empty", ok("Content-Length: \r\n")},
        {true, "chunked", ok("Transfer-Encoding: chunked\r\n")},
        {false, "RFC 9112 6.3: both", ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
        {false, "RFC 9112 6.1: doubled", ok("Transfer-Encoding: chunked, chunked\r\n")},
        {false, "RFC 9112 6.1: doubled on two lines",
         ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
        {false, "RFC 9112 6.1: gzip, chunked", ok("Transfer-Encoding: gzip, chunked\r\n")},
        {false, "RFC 9112 6.1: gzip", ok("Transfer-Encoding: gzip\r\n")},
        {false, "RFC 9112 6.1: identity", ok("Transfer-Encoding: identity\r\n")},
        {false, "RFC 9112 6.1: quoted", ok("Transfer-Encoding: \"chunked\"\r\n")},
        {false, "RFC 9112 6.1: HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {false, "RFC 9112 6.3: 204 with chunked",
         "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {false, "RFC 9112 6.3: 204 with a length", "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"},
        {true, "204 with length 0, as many send", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"},
        {false, "RFC 9112 6.3: 100 with a length", "HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\n"},
        {true, "304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
        {false, "an oversized line", ok("A: " + std::string(20'000, 'a') + "\r\n")},
        {false, "too many fields", ok([] {
             std::string lines;
             for (int i = 0; i < 101; ++i) {
                 lines += "A: b\r\n";
             }
             return lines;
         }())},
    });
}

TEST_CASE("the body's end is known from the head and the request") {
    const auto length = ok("Content-Length: 5\r\n");
    const auto chunked = ok("Transfer-Encoding: chunked\r\n");
    CHECK(framing_of(length) == Framing{BodyKind::content_length, 5});
    CHECK(framing_of(chunked) == Framing{BodyKind::chunked, 0});
    CHECK(framing_of(ok("")) == Framing{BodyKind::until_close, 0});
    CHECK(framing_of(length, "HEAD") == Framing{});
    CHECK(framing_of(chunked, "HEAD") == Framing{});
    CHECK(framing_of("HTTP/1.1 204 No\r\n\r\n") == Framing{});
    CHECK(framing_of("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n") == Framing{});
    CHECK(framing_of("HTTP/1.1 100 Continue\r\n\r\n") == Framing{});
    const auto head = parse_response_head(length, {"HEAD", {}}, limits);
    CHECK(head->declared_length == 5);
}

TEST_CASE("interim answers and upgrades are told apart") {
    const auto parse = [](const std::string& status, std::string_view upgrade) {
        return parse_response_head(
            "HTTP/1.1 " + status + "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            {"GET", upgrade}, limits);
    };
    CHECK(parse("100 Continue", "")->is_interim());
    CHECK(parse("103 Early Hints", "")->is_interim());
    CHECK_FALSE(parse("101 Switching Protocols", "websocket")->is_interim());
    CHECK(parse("101 Switching Protocols", "").has_error());
}

TEST_CASE("a 101 switches to what was asked for, and says so") {
    // Guards: no tunnel for a protocol that the client does not speak (RFC 9110 section 7.8).
    const auto accepted = [](std::string_view asked, const std::string& fields) {
        const auto head =
            parse_response_head("HTTP/1.1 101 Y\r\n" + fields + "\r\n", {"GET", asked}, limits);
        return head.has_value();
    };
    const std::string connection = "Connection: keep-alive, Upgrade\r\n";
    CHECK(accepted("websocket", connection + "Upgrade: WebSocket\r\n"));
    CHECK(accepted("a, b/2, c", connection + "Upgrade: b/2\r\n"));
    CHECK(accepted("a, b", connection + "Upgrade: b, a\r\n"));
    CHECK_FALSE(accepted("a, b/2", connection + "Upgrade: b\r\n"));
    CHECK_FALSE(accepted("websocket", connection + "Upgrade: h2c\r\n"));
    CHECK_FALSE(accepted("websocket", connection + "Upgrade: websocket, h2c\r\n"));
    CHECK_FALSE(accepted("websocket", connection));
    CHECK_FALSE(accepted("websocket", "Upgrade: websocket\r\n"));
    CHECK_FALSE(accepted("a", connection + "Upgrade: a\r\nUpgrade: a\r\n"));
    const std::string old = "HTTP/1.0 101 Y\r\n" + connection + "Upgrade: a\r\n\r\n";
    CHECK(parse_response_head(old, {"GET", "a"}, limits).has_error());
}

TEST_CASE("a connection is reused only when the answer allows it") {
    const auto keeps = [](const std::string& head) {
        return parse_response_head(head, {}, limits).value().keep_alive;
    };
    CHECK(keeps(ok("Content-Length: 1\r\n")));
    CHECK_FALSE(keeps(ok("")));
    CHECK_FALSE(keeps(ok("Content-Length: 1\r\nConnection: close\r\n")));
    CHECK_FALSE(keeps("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"));
    CHECK(keeps("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n"));
}
