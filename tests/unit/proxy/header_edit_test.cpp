// Heads that leave are canonical: our framing, no hop-by-hop field, the rest in order.
#include "proxy/http/header_edit.hpp"

#include "proxy/http/date_clock.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>

using namespace corral;
using namespace corral::http;
using namespace std::string_literals;

namespace {

const Limits limits;

std::string forward(const std::string& head, const RequestEdit& edit) {
    return serialize_request_head(parse_request_head(head, limits).value(), edit).value();
}

std::string answer(const std::string& head, const ResponseEdit& edit,
                   const ResponseContext& context = {}) {
    return serialize_response_head(parse_response_head(head, context, limits).value(), edit)
        .value();
}

}  // namespace

TEST_CASE("a request goes upstream with the client's fields in order and our framing") {
    RequestEdit edit;
    edit.request_id = "id-1";
    edit.framing = {BodyKind::content_length, 7};
    CHECK(forward("POST /v1/completions?a=b HTTP/1.1\r\nUser-Agent: c\r\nhost: H:8091\r\n"
                  "X-B:  two \r\nContent-Length: 0007\r\nAccept: */*\r\nX-B: 3\r\n\r\n",
                  edit) ==
          "POST /v1/completions?a=b HTTP/1.1\r\nHost: H:8091\r\nUser-Agent: c\r\nX-B: two\r\n"
          "Accept: */*\r\nX-B: 3\r\nX-Request-Id: id-1\r\nContent-Length: 7\r\n\r\n");
}

TEST_CASE("RFC 9110 7.6.1: hop-by-hop fields and those that Connection names stay behind") {
    const auto sent = forward(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n"
        "connection: x-other\r\nX-Other: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n"
        "Proxy-Authorization: y\r\nTE: gzip\r\nTrailer: A\r\nUpgrade: x\r\nExpect: 100-continue\r\n"
        "X-Kept: 3\r\n\r\n",
        {});
    CHECK(sent == "GET / HTTP/1.1\r\nHost: h\r\nX-Kept: 3\r\n\r\n");
}

TEST_CASE("Connection cannot take away Host or the framing") {
    RequestEdit edit;
    edit.framing = {BodyKind::chunked, 0};
    CHECK(forward("POST / HTTP/1.1\r\nHost: h\r\nConnection: host, transfer-encoding\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n",
                  edit) == "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
}

namespace {

const std::string forwarding_head =
    "GET / HTTP/1.1\r\nHost: h:1\r\nX-Forwarded-For: a\r\nA: b\r\nx-forwarded-for: b, c\r\n"
    "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shown\r\nX_Forwarded-Port: 1\r\n"
    "Forwarded: for=x\r\nX-Real-IP: r\r\n\r\n";

}  // namespace

TEST_CASE("what a stranger says of who asks is replaced by what is known") {
    // Guards: no client gives itself an address, a scheme or a name of ours.
    Sender sender;
    sender.address = sender.client = "::1";
    RequestEdit edit;
    edit.sender = &sender;
    CHECK(forward(forwarding_head, edit) ==
          "GET / HTTP/1.1\r\nHost: h:1\r\nA: b\r\nX-Forwarded-For: ::1\r\n"
          "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h:1\r\n\r\n");
    sender.address = sender.client = "unix";
    sender.scheme = "https";
    CHECK(forward(forwarding_head, edit) ==
          "GET / HTTP/1.1\r\nHost: h:1\r\nA: b\r\nX-Forwarded-Proto: https\r\n"
          "X-Forwarded-Host: h:1\r\n\r\n");
    CHECK(forward(forwarding_head, {}) == "GET / HTTP/1.1\r\nHost: h:1\r\nA: b\r\n\r\n");
}

TEST_CASE("what a trusted proxy says stays, and X-Forwarded-For is added to, on one line") {
    // Guards: the chain of proxies arrives whole.
    Sender sender;
    sender.address = "10.0.0.1";
    sender.client = "1.2.3.4";
    sender.trusted = true;
    RequestEdit edit;
    edit.sender = &sender;
    CHECK(forward(forwarding_head, edit) ==
          "GET / HTTP/1.1\r\nHost: h:1\r\nA: b\r\nX-Forwarded-Proto: https\r\n"
          "X-Forwarded-Host: shown\r\nX_Forwarded-Port: 1\r\nForwarded: for=x\r\nX-Real-IP: r\r\n"
          "X-Forwarded-For: a, b, c, 10.0.0.1\r\n\r\n");
    CHECK(forward("GET / HTTP/1.1\r\nHost: h\r\n\r\n", edit) ==
          "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n"
          "X-Forwarded-Host: h\r\n\r\n");
}

TEST_CASE("cookies of Corral stay here, others go on as they came") {
    // Guards: what a browser keeps for Corral's own pages is no business of a model's server.
    CHECK(forward("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1;b=2\r\n\r\n", {}) ==
          "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1;b=2\r\n\r\n");
    CHECK(forward("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1;Corral_key=k; b=2\r\n"
                  "cookie: corral=k; c=corral\r\n\r\n",
                  {}) == "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; b=2; c=corral\r\n\r\n");
    CHECK(forward("GET / HTTP/1.1\r\nHost: h\r\nCookie: corral=k\r\n\r\n", {}) ==
          "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST_CASE(
    "an answer says whose it is and which page may read it, whatever the model's server says") {
    // Guards: a server that lets every page read its answers does not decide that for Corral.
    const std::string head =
        "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\n"
        "Access-Control-Allow-Credentials: true\r\nX-Request-Id: theirs\r\nA: b\r\n\r\n";
    CHECK(answer(head, {}) ==
          "HTTP/1.1 204 No Content\r\nVary: Accept\r\nX-Request-Id: theirs\r\nA: b\r\n\r\n");
    ResponseEdit edit;
    edit.stamp = {"ours", "http://localhost:3000", true};
    CHECK(answer(head, edit) ==
          "HTTP/1.1 204 No Content\r\nVary: Accept\r\nA: b\r\nX-Request-Id: ours\r\n"
          "Access-Control-Allow-Origin: http://localhost:3000\r\nAccess-Control-Expose-Headers: "
          "X-Request-Id, Retry-After, Location, Content-Disposition\r\nVary: Origin\r\n\r\n");
    edit.stamp = {"ours", "", true};
    CHECK(answer("HTTP/1.1 204 \r\nVary: origin\r\n\r\n", edit) ==
          "HTTP/1.1 204 No Content\r\nVary: origin\r\nX-Request-Id: ours\r\n\r\n");
}

TEST_CASE("an answer without a Date gets one, its own stays") {
    // Guards: RFC 9110 6.6.1, for what Corral says and for what it relays.
    const DateClock clock;
    ResponseEdit edit;
    edit.stamp.clock = &clock;
    const auto dated = [&](const std::string& head) {
        const std::string before(clock.now());
        const std::string out = answer(head, edit);
        const auto with = [&](std::string_view date) {
            return out.find("\r\nDate: " + std::string(date) + "\r\n") != std::string::npos;
        };
        return with(before) || with(clock.now());  // a second may have passed
    };
    CHECK(dated("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    CHECK(dated("HTTP/1.1 404 No\r\nX-Date: x\r\nContent-Length: 0\r\n\r\n"));
    CHECK(answer("HTTP/1.1 204 No Content\r\ndate: theirs\r\n\r\n", edit) ==
          "HTTP/1.1 204 No Content\r\ndate: theirs\r\n\r\n");
    CHECK(answer("HTTP/1.1 103 Early Hints\r\n\r\n", edit) == "HTTP/1.1 103 Early Hints\r\n\r\n");
    CHECK(serialize_answer_head(200, "", 0, edit)->find("\r\nDate: ") != std::string::npos);
}

TEST_CASE("a request is edited: target, host, fields dropped and set") {
    const std::array<std::string_view, 2> drop{"authorization", "Cookie"};
    const std::array<Field, 2> set{Field{"X-Request-Id", "7"}, Field{"X-Api-Key", "peer"}};
    RequestEdit edit;
    edit.target = "/chat/completions?x";
    edit.host = "peer:80";
    edit.drop = drop;
    edit.set = set;
    edit.close = true;
    CHECK(forward("GET /v/chat/completions?x HTTP/1.1\r\nHost: h\r\nAuthorization: k\r\n"
                  "cookie: c\r\nx-api-key: mine\r\nA: b\r\n\r\n",
                  edit) ==
          "GET /chat/completions?x HTTP/1.1\r\nHost: peer:80\r\nA: b\r\n"
          "X-Request-Id: 7\r\nX-Api-Key: peer\r\nConnection: close\r\n\r\n");
}

TEST_CASE("absolute-form leaves as origin-form, HTTP/1.0 as 1.1, TE: trailers stays") {
    CHECK(forward("GET http://h/a?b HTTP/1.1\r\nHost: x\r\n\r\n", {}) ==
          "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(forward("GET / HTTP/1.0\r\n\r\n", {}) == "GET / HTTP/1.1\r\nHost: \r\n\r\n");
    CHECK(forward("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip, Trailers\r\n\r\n", {}) ==
          "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n");
}

TEST_CASE("a POST without body says so") {
    CHECK(forward("POST /x HTTP/1.1\r\nHost: h\r\n\r\n", {}) ==
          "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    CHECK(forward("DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n", {}) ==
          "DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST_CASE("an upgrade is passed on only when it is to be") {
    const auto head =
        "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: k\r\n\r\n"s;
    RequestEdit edit;
    edit.upgrade = true;
    CHECK(forward(head, edit) ==
          "GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\nConnection: Upgrade\r\n"
          "Upgrade: websocket\r\n\r\n");
    CHECK(forward(head, {}) == "GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\n\r\n");
    ResponseEdit back;
    back.upgrade = true;
    CHECK(answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                 "Sec-WebSocket-Accept: a\r\n\r\n",
                 back, {"GET", "websocket"}) ==
          "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nConnection: Upgrade\r\n"
          "Upgrade: websocket\r\n\r\n");
}

TEST_CASE("values that would break a head are refused, their text is not repeated") {
    for (const auto& value :
         {"zq\r\nX: b"s, "zq\nb"s, "zq\rb"s, "zq\0b"s, " zq"s, "zq\t"s, "zq\x7f"s}) {
        CAPTURE(value);
        const auto checked = checked_value("X-Model", value);
        REQUIRE(checked.has_error());
        CHECK(checked.error().detail.find("X-Model") != std::string::npos);
        CHECK(checked.error().detail.find("zq") == std::string::npos);
        const std::array<Field, 1> set{Field{"X-Model", value}};
        RequestEdit edit;
        edit.set = set;
        const auto head = parse_request_head("GET / HTTP/1.1\r\nHost: h\r\n\r\n", limits).value();
        CHECK(serialize_request_head(head, edit).has_error());
    }
    CHECK(checked_value("X", "a b\t\xc3\xa9").has_value());
    CHECK(checked_value("X", "").has_value());
    RequestEdit edit;
    edit.target = "/a b";
    const auto head = parse_request_head("GET / HTTP/1.1\r\nHost: h\r\n\r\n", limits).value();
    CHECK(serialize_request_head(head, edit).has_error());
}

TEST_CASE("an answer keeps its fields in order and gets our framing") {
    ResponseEdit edit;
    edit.framing = {BodyKind::chunked, 0};
    CHECK(
        answer("HTTP/1.1 200 Fine\r\nServer: s\r\nTransfer-Encoding: chunked\r\nConnection: x-y\r\n"
               "X-Y: 1\r\nKeep-Alive: a\r\nSet-Cookie: 1\r\nSet-Cookie: 2\r\n\r\n",
               edit) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nSet-Cookie: 1\r\nSet-Cookie: 2\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
}

TEST_CASE("RFC 9110 8.6: HEAD and 304 keep the declared length, 204 and 1xx have none") {
    CHECK(answer("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", {}, {"HEAD", {}}) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
    CHECK(answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", {}) ==
          "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
    CHECK(answer("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", {}) ==
          "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST_CASE("the client is told what happens to its connection") {
    ResponseEdit close;
    close.keep_alive = false;
    CHECK(answer("HTTP/1.1 204 \r\n\r\n", close) ==
          "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    ResponseEdit old;
    old.client_minor_version = 0;
    CHECK(answer("HTTP/1.1 204 \r\n\r\n", old) ==
          "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("event streams are marked against buffering, once") {
    ResponseEdit edit;
    edit.framing = {BodyKind::chunked, 0};
    CHECK(
        answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n", edit) ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        "X-Accel-Buffering: no\r\nCache-Control: no-transform\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
    CHECK(answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                 "X-Accel-Buffering: yes\r\n\r\n",
                 edit) ==
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
          "Cache-Control: no-cache\r\nX-Accel-Buffering: yes\r\n"
          "Transfer-Encoding: chunked\r\n\r\n");
}

TEST_CASE("our own answers are written by the same hand") {
    const std::array<Field, 1> set{Field{"Retry-After", "1"}};
    ResponseEdit edit;
    edit.set = set;
    edit.keep_alive = false;
    CHECK(serialize_answer_head(503, "application/json", 12, edit).value() ==
          "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
          "Content-Length: 12\r\nConnection: close\r\n\r\n");
    CHECK(serialize_answer_head(204, "", 0, {}).value() == "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(serialize_answer_head(200, "a\r\nb", 0, {}).has_error());
}

TEST_CASE("what is written is read back as the same head") {
    RequestEdit edit;
    edit.framing = {BodyKind::content_length, 3};
    const auto sent =
        forward("PUT /a HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 3\r\n\r\n", edit);
    const auto again = parse_request_head(sent, limits);
    REQUIRE(again.has_value());
    CHECK(again->framing == edit.framing);
    CHECK(again->fields.find("a") == "b");
    CHECK(again->host == "h");
}
