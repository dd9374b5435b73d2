// What a request head may look like: one row a case, each naming the rule it stands for. Rows with
// status 0 are accepted; the others answer that status.
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
    int status;  ///< 0: accepted
    std::string_view rule;
    std::string head;
};

/// A GET with these further lines, each ending in CRLF.
std::string get(const std::string& lines) {
    return "GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n";
}

std::string post(const std::string& lines) {
    return "POST /v1/completions HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n";
}

int status_for(std::string_view head) {
    const auto parsed = parse_request_head(head, limits);
    return parsed ? 0 : status_of(parsed.error());
}

void check(const std::vector<Row>& rows) {
    for (const auto& row : rows) {
        CAPTURE(row.rule);
        CAPTURE(row.head);
        CHECK(status_for(row.head) == row.status);
    }
}

}  // namespace

TEST_CASE("request lines with one reading pass, all others are refused") {
    check({
        {0, "RFC 9112 3: origin-form", "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"},
        {0, "RFC 9112 2.2: one empty line before", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.2: two empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.2: bare LF in the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.2: bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n"},
        {400, "RFC 9112 2.2: all bare LF", "GET / HTTP/1.1\nHost: h\n\n"},
        {400, "RFC 9112 2.2: bare CR", "GET / HTTP/1.1\rHost: h\r\n\r\n"},
        {400, "RFC 9112 2.2: CR CR LF", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.2: space before the first field",
         "GET / HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3: no version (HTTP/0.9)", "GET /\r\n\r\n"},
        {400, "RFC 9112 3: two spaces after the method", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3: two spaces before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3: space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3: tab as separator", "GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3: trailing space", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3: leading space", " GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9110 9.1: method with a colon", "GET: / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9110 9.1: method in brackets", "G[E]T / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9110 9.1: empty method", " / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "method of 33 bytes", std::string(33, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {501, "RFC 9110 9.1: methods have case", "get / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {501, "RFC 9110 9.1: methods have case", "Patch / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {0, "RFC 9110 9.1: digits and signs", "M-SEARCH2 / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {0, "RFC 9110 9.1: unknown methods are for the route table",
         "QUERY / HTTP/1.1\r\nHost: h\r\n\r\n"},
        {501, "RFC 9110 9.3.6: CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"},
        {505, "RFC 9113 3.4: HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n"},
        {505, "RFC 9110 15.6.6: HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
        {505, "RFC 9110 15.6.6: HTTP/0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n"},
        {0, "RFC 9110 2.5: HTTP/1.2 is served as 1.1", "GET / HTTP/1.2\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.3: lower case", "GET / http/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.3: two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.3: no minor", "GET / HTTP/1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.3: no dot", "GET / HTTP/11\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.3: sign", "GET / HTTP/+1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 2.3: another protocol", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"},
        {400, "PROXY protocol", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n"},
        {400, "SSH banner", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
        {400, "TLS hello", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"s},
        {400, "NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"s},
        {400, "escape in the target", "GET /\x1b HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3.2: fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3.2: relative target", "GET a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3.2: authority-form", "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3.2.4: * is for OPTIONS", "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
        {0, "RFC 9112 3.2.4: OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
        {0, "RFC 9112 3.2.2: absolute-form", "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3.2.2: another scheme", "GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9110 4.2.4: user info", "GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "RFC 9110 4.2.1: empty host", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "CVE-2022-24761: NBSP around the target", "GET\xa0/ HTTP/1.1\r\nHost: h\r\n\r\n"},
    });
}

TEST_CASE("field lines are names, a colon and visible text, never folded") {
    check({
        {0, "RFC 9110 5.5: tabs and high bytes in a value", get("X: a\tb \xc3\xa9\r\n")},
        {0, "RFC 9110 5.5: empty value", get("X:\r\n")},
        {0, "RFC 9112 5.1: spaces around a value", get("X: \t a \t\r\n")},
        {0, "RFC 9110 5.6.2: every token character", get("!#$%&'*+-.^_`|~1aZ: x\r\n")},
        {400, "RFC 9112 5.1: space before the colon", get("X : a\r\n")},
        {400, "RFC 9112 5.1: tab before the colon", get("X\t: a\r\n")},
        {400, "RFC 9112 5: no colon", get("X\r\n")},
        {400, "RFC 9112 5: empty name", get(": a\r\n")},
        {400, "RFC 9110 5.1: space in a name", get("X Y: a\r\n")},
        {400, "RFC 9110 5.1: slash in a name", get("X/Y: a\r\n")},
        {400, "RFC 9110 5.1: high byte in a name", get("X\xe9: a\r\n")},
        {400, "RFC 9110 5.1: quote in a name", get("\"X\": a\r\n")},
        {400, "RFC 9112 5.2: folded with a space", get("X: a\r\n b\r\n")},
        {400, "RFC 9112 5.2: folded with a tab", get("X: a\r\n\tb\r\n")},
        {400, "RFC 9112 5.2: folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked\r\n")},
        {400, "RFC 9110 5.5: NUL in a value", get("X: a\0b\r\n"s)},
        {400, "RFC 9110 5.5: bare CR in a value", get("X: a\rb\r\n")},
        {400, "RFC 9110 5.5: bare CR before a smuggled field",
         get("X: a\rTransfer-Encoding: chunked\r\n")},
        {400, "RFC 9110 5.5: bare LF before a smuggled field",
         get("X: a\nTransfer-Encoding: chunked\r\n")},
        {400, "RFC 9110 5.5: vertical tab", get("X: a\vb\r\n")},
        {400, "RFC 9110 5.5: form feed", get("X: a\fb\r\n")},
        {400, "RFC 9110 5.5: backspace", get("X: a\bb\r\n")},
        {400, "RFC 9110 5.5: DEL", get("X: a\x7f\r\n")},
        {400, "look-alike: underscore", post("Transfer_Encoding: chunked\r\n")},
        {400, "look-alike: underscore", post("Content_Length: 5\r\n")},
        {400, "look-alike: dot", post("Content.Length: 5\r\n")},
        {400, "look-alike: quote", post("Transfer-Encoding': chunked\r\n")},
        {400, "look-alike: no hyphen", post("TransferEncoding: chunked\r\n")},
        {400, "look-alike: Host", get("Host-: evil\r\n")},
        {0, "not a look-alike", get("Content-Length-Hint: 5\r\n")},
        {400, "RFC 9110 5.3: two Content-Types",
         post("Content-Type: application/json\r\ncontent-type: text/plain\r\n")},
        {0, "RFC 9110 5.3: the same Content-Type twice",
         post("Content-Type: text/plain\r\ncontent-type: text/plain\r\n")},
        {400, "the head ends in the middle", "GET / HTTP/1.1\r\nHost: h\r\n"},
        {400, "bytes behind the head", get("") + "x"},
        {400, "empty input", ""},
    });
}

TEST_CASE("a body has one length or none") {
    check({
        {0, "RFC 9112 6.3: no body", get("")},
        {0, "RFC 9112 6.3: a length", post("Content-Length: 5\r\n")},
        {0, "RFC 9110 8.6: length 0", post("content-length: 0\r\n")},
        {0, "RFC 9110 8.6: leading zeros", post("Content-Length: 0005\r\n")},
        {0, "RFC 9110 8.6: 2^53-1", post("Content-Length: 9007199254740991\r\n")},
        {413, "RFC 9110 15.5.14: 2^53", post("Content-Length: 9007199254740992\r\n")},
        {413, "RFC 9110 15.5.14: 2^63-1", post("Content-Length: 9223372036854775807\r\n")},
        {400, "RFC 9110 8.6: 2^63", post("Content-Length: 9223372036854775808\r\n")},
        {400, "RFC 9110 8.6: 2^64+5 (wraps to 5)",
         post("Content-Length: 18446744073709551621\r\n")},
        {400, "RFC 9110 8.6: 30 digits", post("Content-Length: " + std::string(30, '0') + "\r\n")},
        {400, "RFC 9110 8.6: empty", post("Content-Length:\r\n")},
        {400, "RFC 9110 8.6: plus", post("Content-Length: +5\r\n")},
        {400, "RFC 9110 8.6: minus", post("Content-Length: -5\r\n")},
        {400, "RFC 9110 8.6: hexadecimal", post("Content-Length: 0x5\r\n")},
        {400, "RFC 9110 8.6: decimal point", post("Content-Length: 5.0\r\n")},
        {400, "RFC 9110 8.6: exponent", post("Content-Length: 5e1\r\n")},
        {400, "RFC 9110 8.6: inner space", post("Content-Length: 5 5\r\n")},
        {400, "RFC 9110 8.6: underscore", post("Content-Length: 1_0\r\n")},
        {400, "RFC 9110 8.6: quotes", post("Content-Length: \"5\"\r\n")},
        {400, "RFC 9110 8.6: Arabic digit", post("Content-Length: \xd9\xa5\r\n")},
        {400, "RFC 9110 8.6: high space", post("Content-Length: 5\xa0\r\n")},
        {400, "RFC 9110 8.6: list of equals", post("Content-Length: 5, 5\r\n")},
        {400, "RFC 9110 8.6: list of others", post("Content-Length: 5, 6\r\n")},
        {400, "RFC 9110 8.6: trailing comma", post("Content-Length: 5,\r\n")},
        {400, "RFC 9110 8.6: twice the same", post("Content-Length: 5\r\nContent-Length: 5\r\n")},
        {400, "RFC 9110 8.6: twice differing", post("Content-Length: 5\r\nContent-Length: 6\r\n")},
        {400, "RFC 9110 8.6: twice, other case",
         post("Content-Length: 5\r\ncontent-length: 5\r\n")},
        {400, "RFC 9112 6.3: CL.TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
        {400, "RFC 9112 6.3: TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
        {400, "httplib #2516: length 0 with chunked",
         post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")},
        {400, "Beast #3098: length with identity",
         post("Content-Length: 5\r\nTransfer-Encoding: identity\r\n")},
        {0, "RFC 9112 7.1: chunked", post("Transfer-Encoding: chunked\r\n")},
        {0, "RFC 9112 7: case does not matter", post("tRANSFER-eNCODING: ChunKed\r\n")},
        {400, "RFC 9112 6.1: chunked, chunked", post("Transfer-Encoding: chunked, chunked\r\n")},
        {400, "RFC 9112 6.1: chunked on two lines",
         post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
        {501, "httplib #2516: chunked, gzip", post("Transfer-Encoding: chunked, gzip\r\n")},
        {501, "RFC 9112 6.1: gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n")},
        {501, "RFC 9112 6.1: gzip alone", post("Transfer-Encoding: gzip\r\n")},
        {501, "RFC 9112 6.1: identity", post("Transfer-Encoding: identity\r\n")},
        {501, "RFC 9112 6.1: xchunked", post("Transfer-Encoding: xchunked\r\n")},
        {501, "RFC 9112 6.1: chunkedx", post("Transfer-Encoding: chunkedx\r\n")},
        {501, "RFC 9112 6.1: identity on a second line",
         post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
        {400, "RFC 9112 6.1: parameter", post("Transfer-Encoding: chunked;q=1\r\n")},
        {400, "RFC 9112 6.1: quoted", post("Transfer-Encoding: \"chunked\"\r\n")},
        {400, "RFC 9112 6.1: empty", post("Transfer-Encoding:\r\n")},
        {400, "RFC 9112 6.1: only a comma", post("Transfer-Encoding: ,\r\n")},
        {400, "RFC 9112 6.1: leading comma", post("Transfer-Encoding: ,chunked\r\n")},
        {400, "RFC 9112 6.1: trailing comma", post("Transfer-Encoding: chunked,\r\n")},
        {400, "RFC 9112 6.1: high space",
         post("Transfer-Encoding: \xa0"
              "chunked\r\n")},
        {400, "RFC 9112 6.1: vertical tab", post("Transfer-Encoding: \vchunked\r\n")},
        {400, "RFC 9112 5.1: space before the colon", post("Transfer-Encoding : chunked\r\n")},
        {400, "RFC 9112 6.1: HTTP/1.0 with chunked",
         "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {417, "RFC 9110 10.1.1: another expectation", post("Expect: 200-maybe\r\n")},
        {0, "RFC 9110 10.1.1: 100-continue", post("Content-Length: 1\r\nExpect: 100-Continue\r\n")},
    });
}

TEST_CASE("Host stands once and is a host") {
    const auto with = [](const std::string& host) {
        return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
    };
    check({
        {400, "RFC 9112 3.2: missing", "GET / HTTP/1.1\r\n\r\n"},
        {0, "RFC 9112 3.2: HTTP/1.0 needs none", "GET / HTTP/1.0\r\n\r\n"},
        {400, "RFC 9112 3.2: twice", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"},
        {400, "RFC 9112 3.2: twice in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: i\r\n\r\n"},
        {400, "RFC 9110 7.2: empty", with("")},
        {0, "name and port", with("example.org:8091")},
        {0, "IPv4", with("127.0.0.1:80")},
        {0, "IPv6", with("[::1]:8091")},
        {0, "IPv6 with IPv4", with("[::ffff:1.2.3.4]")},
        {0, "trailing dot", with("LOCALHOST.")},
        {0, "underscore (compose service names)", with("llama_swap")},
        {0, "RFC 3986 3.2.3: empty port", with("h:")},
        {400, "user info", with("u@h")},
        {400, "path", with("h/p")},
        {400, "comma", with("a,b")},
        {400, "space", with("a b")},
        {400, "quote", with("\"h\"")},
        {400, "backslash", with("h\\x")},
        {400, "percent", with("h%00")},
        {400, "RFC 1034 3.1: an empty label", with("a..b")},
        {400, "RFC 1034 3.1: two trailing dots", with("localhost..")},
        {400, "RFC 1034 3.1: leading dot", with(".localhost:80")},
        {400, "RFC 1034 3.1: only a dot", with(".")},
        {400, "question mark", with("h?x")},
        {400, "fragment", with("h#x")},
        {400, "port in letters", with("h:http")},
        {400, "port too large", with("h:65536")},
        {400, "negative port", with("h:-1")},
        {400, "two ports", with("h:1:2")},
        {400, "only a port", with(":80")},
        {400, "bare IPv6", with("::1")},
        {400, "open bracket", with("[::1")},
        {400, "text behind the bracket", with("[::1]x")},
        {400, "zone id", with("[fe80::1%eth0]")},
        {400, "IPv6 that is none", with("[::g]")},
        {400, "300 bytes", with(std::string(300, 'a'))},
        {400, "high byte", with("h\xc3\xa9")},
    });
}

TEST_CASE("upgrades are kept for the upstream to decide, those to another HTTP are refused") {
    // Guards: what may become a tunnel. HTTP in a tunnel would pass by every check of ours (Bishop
    // Fox, h2c smuggling).
    const auto h2c =
        get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            "HTTP2-Settings: AAMA\r\n");
    check({
        {400, "RFC 9110 7.6.1: Connection that is no list", get("Connection: a b\r\n")},
        {400, "RFC 9110 7.8: no protocol", get("Connection: Upgrade\r\nUpgrade: a b\r\n")},
        {400, "RFC 9110 7.8: no version", get("Connection: Upgrade\r\nUpgrade: a/\r\n")},
        {0, "websocket", get("Connection: Upgrade\r\nUpgrade: websocket\r\n")},
        {501, "RFC 7540 3.2: h2c", h2c},
        {501, "RFC 7540 3.2: h2c with a body",
         post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
              "Content-Length: 4\r\n")},
        {501, "RFC 7540 3.2: h2c with chunks",
         post("Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n")},
        {501, "RFC 7540 3.2: h2c without settings", get("Connection: upgrade\r\nUpgrade: H2C\r\n")},
        {501, "RFC 7540 3.2: settings without Upgrade", get("Connection: http2-settings\r\n")},
        {501, "RFC 9110 7.8: h2c behind another",
         get("Connection: Upgrade\r\n"
             "Upgrade: websocket, h2c\r\n")},
        {501, "RFC 9110 7.8: h2c on a second line",
         get("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n")},
        {501, "RFC 7540 3.1: h2", get("Connection: Upgrade\r\nUpgrade: h2\r\n")},
        {501, "RFC 7540 3.1: a draft", get("Connection: Upgrade\r\nUpgrade: h2c-14\r\n")},
        {501, "RFC 9110 7.8: HTTP/2.0", get("Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n")},
        {501, "RFC 9110 7.8: HTTP/1.1", get("Connection: Upgrade\r\nUpgrade: http/1.1\r\n")},
        {400, "a framing error is told first",
         post("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: x\r\n")},
        {0, "RFC 9110 7.8: without Connection it is nothing",
         get("Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n")},
        {0, "RFC 9110 7.8: HTTP/1.0 knows of no upgrade",
         "GET / HTTP/1.0\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\n\r\n"},
    });
    const auto refused = parse_request_head(h2c, limits);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().detail.find("What to do: ") != std::string::npos);
    CHECK(refused.error().detail.find("HttpClient.Version.HTTP_1_1") != std::string::npos);
    CHECK(refused.error().detail.find("h2cUpgrade: ignore") != std::string::npos);
}

TEST_CASE("what is offered besides another HTTP is kept") {
    // Guards: with h2cUpgrade: ignore, too, no model's server is ever offered HTTP/2.
    const auto upgrade_of = [](const std::string& head) {
        return parse_request_head(head, limits, H2cUpgrade::ignore).value().upgrade;
    };
    CHECK(upgrade_of(get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n")) ==
          "websocket");
    CHECK(upgrade_of(get("Connection: upgrade\r\nUpgrade: a,b/2\r\nUpgrade: c\r\n")) ==
          "a, b/2, c");
    CHECK(upgrade_of(get("Upgrade: websocket\r\n")).empty());
    CHECK(upgrade_of(get("Connection: Upgrade\r\n")).empty());
    CHECK(upgrade_of(post("Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n")).empty());
    CHECK(upgrade_of(post("Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n")) == "x");
    CHECK(upgrade_of("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").empty());
    CHECK(upgrade_of(get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                         "HTTP2-Settings: AAMA\r\n"))
              .empty());
    CHECK(upgrade_of(get("Upgrade: h2c\r\n")).empty());
    CHECK(upgrade_of(get("Connection: Upgrade\r\nUpgrade: H2C, websocket\r\n")) == "websocket");
    CHECK(upgrade_of(get("Connection: Upgrade\r\nUpgrade: HTTP/2.0, h2\r\n")).empty());
}

TEST_CASE("an accepted head says what it said") {
    const auto head = parse_request_head(
        "\r\nPOST http://Example.org:81?x=1 HTTP/1.1\r\nHost: other\r\nX-A: 1\r\n"
        "Content-Length: 12\r\nExpect: 100-continue\r\nx-a:  2 \r\nConnection: Close\r\n\r\n",
        limits);
    REQUIRE(head.has_value());
    CHECK(head->method == "POST");
    CHECK(head->target == "/?x=1");
    CHECK(head->host == "Example.org:81");  // the target wins (RFC 9112 3.2.2)
    CHECK(head->framing == Framing{BodyKind::content_length, 12});
    CHECK(head->expect_continue);
    CHECK_FALSE(head->keep_alive);
    REQUIRE(head->fields.size() == 6);
    CHECK(head->fields[5].name == "Connection");
    CHECK(head->fields[4].value == "2");
    CHECK(head->fields.count("X-a") == 2);
    CHECK(head->fields.find("x-A") == "1");
}

TEST_CASE("keep-alive follows the version and Connection") {
    const auto keeps = [](const std::string& version, const std::string& lines) {
        const auto head = "GET / HTTP/" + version + "\r\nHost: h\r\n" + lines + "\r\n";
        return parse_request_head(head, limits).value().keep_alive;
    };
    CHECK(keeps("1.1", ""));
    CHECK(keeps("1.1", "Connection: keep-alive\r\n"));
    CHECK_FALSE(keeps("1.1", "Connection: foo, CLOSE\r\n"));
    CHECK_FALSE(keeps("1.1", "Connection: foo\r\nConnection: close\r\n"));
    CHECK_FALSE(keeps("1.1", "Connection: keep-alive, close\r\n"));
    CHECK_FALSE(keeps("1.0", ""));
    CHECK(keeps("1.0", "Connection: Keep-Alive\r\n"));
    CHECK_FALSE(keeps("1.0", "Connection: keep-alive, close\r\n"));
    CHECK_FALSE(parse_request_head("POST / HTTP/1.0\r\nContent-Length: 1\r\n"
                                   "Expect: 100-continue\r\n\r\n",
                                   limits)
                    .value()
                    .expect_continue);
}

TEST_CASE("a head is bounded in bytes, lines and fields") {
    const std::string ok(limits.head_line_bytes_max - 20, 'a');
    check({
        {0, "a long line", get("X: " + ok + "\r\n")},
        {431, "a line too long",
         get("X: " + std::string(limits.head_line_bytes_max, 'a') + "\r\n")},
        {414, "a target too long",
         "GET /" + std::string(limits.head_line_bytes_max, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"},
        {431, "too many bytes", get("X: " + ok + "\r\nY: " + ok + "\r\nZ: " + ok + "\r\n")},
    });
    const auto fields = [](std::size_t n) {
        std::string lines;
        for (std::size_t i = 0; i < n; ++i) {
            lines += "X: a\r\n";
        }
        return get(lines);
    };
    CHECK(status_for(fields(limits.head_fields_max - 1)) == 0);
    CHECK(status_for(fields(limits.head_fields_max)) == 431);
}
