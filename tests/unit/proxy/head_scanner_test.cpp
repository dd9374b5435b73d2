// Heads arrive in pieces: where they are cut must not matter. And a second opinion: what we accept,
// Beast's parser reads in the same way.
#include "proxy/http/error_body.hpp"
#include "proxy/http/head_rules.hpp"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using namespace corral::http;
namespace beast_http = boost::beast::http;

namespace {

const Limits limits;

/// The scan's result when the bytes come one by one, and how many were needed for it.
std::pair<HeadScan, std::size_t> scan_slowly(std::string_view bytes, HeadOf of) {
    HeadScanner scanner(limits, of);
    HeadScan scan;
    for (std::size_t n = 0; n <= bytes.size(); ++n) {
        scan = scanner.scan(bytes.substr(0, n));
        if (scan.state != HeadScan::State::need_more) {
            return {scan, n};
        }
    }
    return {scan, bytes.size()};
}

const std::vector<std::string> clean_requests{
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "\r\nGET /a?b=%20 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA:\r\nB: \t c d \r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\nX: \xc3\xa9\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n",
    "DELETE /x HTTP/1.0\r\nConnection: keep-alive\r\n!#$%&'*+-.^_`|~: 1\r\n\r\n",
};

}  // namespace

TEST_CASE("a head cut at every byte is the same head") {
    for (const auto& text : clean_requests) {
        CAPTURE(text);
        const auto whole = scan_head(text + "trailing", limits);
        REQUIRE(whole.state == HeadScan::State::complete);
        CHECK(whole.bytes == text.size());
        const auto [slow, needed] = scan_slowly(text + "trailing", HeadOf::request);
        CHECK(slow.state == HeadScan::State::complete);
        CHECK(slow.bytes == text.size());
        CHECK(needed == text.size());
        HeadScanner scanner(limits);
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            scanner.restart();
            const bool early = scanner.scan(text.substr(0, cut)).state == HeadScan::State::complete;
            CHECK(early == (cut == text.size()));
            CHECK(scanner.scan(text).bytes == text.size());
        }
    }
}

TEST_CASE("what can never become clean is refused at once") {
    const auto refused_after = [](std::string_view text, HeadOf of = HeadOf::request) {
        const auto [scan, needed] = scan_slowly(text, of);
        return scan.state == HeadScan::State::refused ? needed : 0;
    };
    CHECK(refused_after("\x16\x03\x01 and so on") == 1);  // a TLS hello
    CHECK(refused_after("GET / HTTP/1.1\nHost") == 15);
    CHECK(refused_after("GET / HTTP/1.1\r\rHost") == 16);
    CHECK(refused_after("GET / HTTP/1.1\r\nA: b\r\n c") == 23);
    CHECK(refused_after("\r\n\r\nGET") == 4);
    CHECK(refused_after("\n") == 1);
    CHECK(refused_after("\r\nHTTP/1.1 200 OK\r\n\r\n", HeadOf::response) == 1);
    CHECK(refused_after("GET /\r\nHost") == 7);  // HTTP/0.9
    CHECK(refused_after("\r\nGET / HTTP/2.0\r\n") == 18);
    CHECK(refused_after("SSH-2.0-x\r\n") == 11);
    CHECK(refused_after("SSH-2.0-x\r\n", HeadOf::response) == 1);
    CHECK(refused_after("HTTP/2 200\r\n", HeadOf::response) == 6);
    CHECK(refused_after("HTTP/1.1 2000\r\nServer", HeadOf::response) == 15);
    const std::string endless(100'000, 'a');
    CHECK(refused_after(endless) == limits.head_line_bytes_max + 3);
    CHECK(status_of(*scan_head(endless, limits).error) == 414);
}

TEST_CASE("a head of exactly the allowed size passes, one byte more does not") {
    Limits small;
    small.head_bytes_max = 60;
    const std::string start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    const auto head_of = [&](std::size_t size) {
        return start + std::string(size - start.size() - 4, 'a') + "\r\n\r\n";
    };
    CHECK(scan_head(head_of(60), small).state == HeadScan::State::complete);
    CHECK(scan_head(head_of(61), small).state == HeadScan::State::refused);
    CHECK(status_of(*scan_head(head_of(61), small).error) == 431);
}

TEST_CASE("a scanner keeps its answer until it is restarted") {
    HeadScanner scanner(limits);
    CHECK(scanner.scan("\n").state == HeadScan::State::refused);
    CHECK(scanner.scan("GET / HTTP/1.1\r\n\r\n").state == HeadScan::State::refused);
    scanner.restart();
    CHECK(scanner.scan("GET / HTTP/1.1\r\n\r\n").state == HeadScan::State::complete);
}

TEST_CASE("Beast reads what we accept in the same way") {
    for (const auto& text : clean_requests) {
        CAPTURE(text);
        const auto ours = parse_request_head(text, limits);
        REQUIRE(ours.has_value());
        beast_http::request_parser<beast_http::string_body> beast;
        boost::system::error_code ec;
        // Beast does not know of the empty line that RFC 9112 2.2 tells servers to skip.
        const auto skipped = text.substr(text.starts_with("\r\n") ? 2 : 0);
        beast.put(boost::asio::buffer(skipped), ec);
        REQUIRE_FALSE(ec.failed());
        REQUIRE(beast.is_header_done());
        const auto& message = beast.get();
        CHECK(std::string(message.method_string()) == ours->method);
        CHECK(std::string(message.target()) == ours->target);
        CHECK(message.version() % 10 == ours->minor_version);
        CHECK(message.keep_alive() == ours->keep_alive);
        CHECK(message.chunked() == (ours->framing.kind == BodyKind::chunked));
        CHECK(beast.content_length().value_or(0) == ours->framing.length);
        std::size_t n = 0;
        for (const auto& field : message) {
            REQUIRE(n < ours->fields.size());
            CHECK(std::string(field.name_string()) == std::string(ours->fields[n].name));
            CHECK(std::string(field.value()) == std::string(ours->fields[n].value));
            ++n;
        }
        CHECK(n == ours->fields.size());
    }
}
