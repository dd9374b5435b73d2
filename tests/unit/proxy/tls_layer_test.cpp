// TLS over bytes: a client and a server in one program.
#include "tests/unit/proxy/tls_support.hpp"

#include <boost/asio/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace corral {
namespace {

using namespace tls_test;

TEST_CASE("plaintext passes both ways, in whatever pieces the connection brings it") {
    // Guards: no byte is lost, doubled or reordered, at TLS 1.2 and 1.3.
    const Authority authority;
    const Identity leaf = make_identity({"x", "DNS:h.example,IP:127.0.0.1"}, &authority.identity());
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
            Pair pair = make_pair_for("https://h.example", leaf, version);
            pair.shake(piece);
            REQUIRE(pair.client_step == Step::done);
            REQUIRE(pair.server_step == Step::done);
            std::string text;
            for (int i = 0; i < 10'000; ++i) {
                text += std::to_string(i);
            }
            Step end{};
            std::string arrived;
            for (std::size_t at = 0; at < text.size(); at += 20'000) {
                REQUIRE(pair.client->write(text.substr(at, 20'000)) == Step::done);
                carry(*pair.client, *pair.server, piece);
                arrived += read_all(*pair.server, end);
                CHECK(end == Step::starved);
            }
            CHECK(arrived == text);
            REQUIRE(pair.server->write("answer") == Step::done);
            carry(*pair.server, *pair.client, piece);
            CHECK(read_all(*pair.client, end) == "answer");
            CHECK(end == Step::starved);
        }
    }
}

TEST_CASE("session tickets are no plaintext") {
    // Guards: an idle connection with TLS 1.3 stays usable after the server's tickets have come.
    const Authority authority;
    const Identity leaf = make_identity({"x", "DNS:h.example"}, &authority.identity());
    TlsClient clients;
    Pair pair{clients.start(parse_endpoint("https://h.example").value()).value(),
              make_server(leaf)};
    REQUIRE(pair.client->handshake() == Step::starved);
    carry(*pair.client, *pair.server);
    REQUIRE(pair.server->handshake() == Step::starved);
    carry(*pair.server, *pair.client);
    REQUIRE(pair.client->handshake() == Step::done);
    carry(*pair.client, *pair.server);
    REQUIRE(pair.server->handshake() == Step::done);
    const std::string tickets = pair.server->take_outgoing();
    CHECK(!tickets.empty());
    std::copy(tickets.begin(), tickets.end(), pair.client->room().begin());
    pair.client->received(tickets.size());
    CHECK(pair.client->look() == Step::starved);
    REQUIRE(pair.server->write("x") == Step::done);
    carry(*pair.server, *pair.client);
    CHECK(pair.client->look() == Step::done);
    CHECK(pair.client->look() == Step::done);
    Step end{};
    CHECK(read_all(*pair.client, end) == "x");
}

TEST_CASE("an end that was announced differs from a connection that was cut") {
    // Guards: an answer that lasts until the end cannot be shortened by cutting the connection.
    const Authority authority;
    const Identity leaf = make_identity({"x", "DNS:h.example"}, &authority.identity());
    for (const bool announced : {true, false}) {
        Pair pair = make_pair_for("https://h.example", leaf);
        pair.shake();
        REQUIRE(pair.server->write("all of it?") == Step::done);
        if (announced) {
            pair.server->finish();
        }
        carry(*pair.server, *pair.client);
        pair.client->receive_ended();
        Step end{};
        CHECK(read_all(*pair.client, end) == "all of it?");
        CHECK(end == (announced ? Step::ended : Step::cut));
        const auto error = TlsLayer::error_of(end);
        CHECK((error == boost::asio::error::eof) == announced);
        CHECK((error == http::TlsErrc::cut) == !announced);
    }
}

TEST_CASE("bytes that were changed on the way are an error") {
    // Guards: what is not authentic is not passed on, and nothing is after it.
    const Authority authority;
    const Identity leaf = make_identity({"x", "DNS:h.example"}, &authority.identity());
    Pair pair = make_pair_for("https://h.example", leaf);
    pair.shake();
    REQUIRE(pair.server->write("text") == Step::done);
    std::string bytes = pair.server->take_outgoing();
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    std::copy(bytes.begin(), bytes.end(), pair.client->room().begin());
    pair.client->received(bytes.size());
    Step end{};
    CHECK(read_all(*pair.client, end).empty());
    CHECK(end == Step::failed);
    CHECK(TlsLayer::error_of(end) == http::TlsErrc::broken);
    CHECK(pair.client->write("x") == Step::failed);
    CHECK(pair.client->look() == Step::failed);
}

TEST_CASE("a certificate is refused, with its reason in words") {
    // Guards: nobody but the host that was asked for gets a request, and people learn what to do.
    struct Row {
        const char* url;
        Wanted wanted;
        bool own_signature;
        const char* told;  ///< empty: accepted
    };
    const std::vector<Row> rows{
        {"https://h.example", {"x", "DNS:h.example"}, false, ""},
        {"https://h.example.", {"x", "DNS:h.example"}, false, ""},
        {"https://a.h.example", {"x", "DNS:*.h.example"}, false, ""},
        {"https://127.0.0.1", {"x", "IP:127.0.0.1"}, false, ""},
        {"https://[::1]:8443", {"x", "IP:::1"}, false, ""},
        {"https://h.example",
         {"x", "DNS:other.example,IP:10.0.0.1"},
         false,
         "its certificate is for other.example, 10.0.0.1 and not for h.example"},
        {"https://10.0.0.2", {"x", "IP:10.0.0.1"}, false, "is for 10.0.0.1 and not for 10.0.0.2"},
        {"https://127.0.0.1", {"x", "DNS:127.0.0.1"}, false, "and not for 127.0.0.1"},
        {"https://h.example",
         {"h.example", ""},
         false,
         "is for no host (it has no subject alternative name; its common name, \"h.example\""},
        {"https://b.a.h.example", {"x", "DNS:*.h.example"}, false, "not for b.a.h.example"},
        {"https://h.example",
         {"x", "DNS:h.example", -3 * day, -day},
         false,
         "its certificate expired on 20"},
        {"https://h.example",
         {"x", "DNS:h.example", day, 2 * day},
         false,
         "only: is this machine's clock right?"},
        {"https://h.example", {"x", "DNS:h.example"}, true, "is signed by itself"},
    };
    const Authority authority;
    for (const Row& row : rows) {
        CAPTURE(row.url);
        CAPTURE(row.told);
        Pair pair = make_pair_for(
            row.url,
            make_identity(row.wanted, row.own_signature ? nullptr : &authority.identity()));
        pair.shake();
        if (*row.told == '\0') {
            CHECK(pair.client_step == Step::done);
            continue;
        }
        CHECK(pair.client_step == Step::failed);
        CHECK(pair.client->failure().find(row.told) != std::string::npos);
        CAPTURE(pair.client->failure());
        CHECK(pair.client->write("GET /") == Step::failed);
    }
}

TEST_CASE("an unknown authority is named") {
    // Guards: people see which certificate to add, and where.
    const Identity stranger = make_identity({"strange authority", "", -day, day, true}, nullptr);
    const Identity leaf = make_identity({"x", "DNS:h.example"}, &stranger);
    Pair pair = make_pair_for("https://h.example", leaf);
    pair.shake();
    CHECK(pair.client_step == Step::failed);
    const auto& told = pair.client->failure();
    CHECK(told.find("signed by \"strange authority\"") != std::string::npos);
    CHECK(told.find("SSL_CERT_FILE") != std::string::npos);
}

TEST_CASE("nothing older than TLS 1.2 is spoken, and what is no TLS is told as such") {
    // Guards: a downgrade is refused; the commonest mistake, https for http, is named.
    const Authority authority;
    const Identity leaf = make_identity({"x", "DNS:h.example"}, &authority.identity());
    Pair old = make_pair_for("https://h.example", leaf, TLS1_1_VERSION);
    old.shake();
    CHECK(old.client_step == Step::failed);
    CHECK(old.client->failure() == "it speaks no TLS 1.2 or newer");

    TlsClient clients;
    const auto client = clients.start(parse_endpoint("https://h.example").value()).value();
    REQUIRE(client->handshake() == Step::starved);
    const std::string plain = "HTTP/1.1 400 Bad Request\r\n\r\n";
    std::copy(plain.begin(), plain.end(), client->room().begin());
    client->received(plain.size());
    CHECK(client->handshake() == Step::failed);
    CHECK(client->failure().find("does not speak TLS") != std::string::npos);
}

}  // namespace
}  // namespace corral
