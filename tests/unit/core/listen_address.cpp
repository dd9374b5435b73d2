// core/listen_address: what people write after --listen.
#include "core/listen_address.hpp"

#include <doctest/doctest.h>

#include <string>

using corral::ListenAddress;
using corral::parse_listen_address;

TEST_CASE("every form of an address is read") {
    // Guards: the forms that --help and docs/configuration.md name.
    const auto host_and_port = [](std::string_view text) {
        const auto address = parse_listen_address(text);
        REQUIRE_MESSAGE(address.has_value(), text);
        CHECK(address->unix_path.empty());
        CHECK(address->text == text);
        return address->host + " " + std::to_string(address->port);
    };
    CHECK(host_and_port("127.0.0.1:8091") == "127.0.0.1 8091");
    CHECK(host_and_port("[::1]:0") == "::1 0");
    CHECK(host_and_port("[::]:65535") == ":: 65535");
    CHECK(host_and_port("localhost:80") == "localhost 80");
    CHECK(host_and_port(":8080") == " 8080");
    CHECK(host_and_port("*:8080") == " 8080");
    CHECK(host_and_port("8080") == " 8080");
    CHECK(host_and_port("http://127.0.0.1:1") == "127.0.0.1 1");
    CHECK(host_and_port("https://:443/") == " 443");
    CHECK(parse_listen_address("https://:443")->tls == ListenAddress::Tls::always);
    CHECK(parse_listen_address("http://:80")->tls == ListenAddress::Tls::never);
    CHECK(parse_listen_address(":80")->tls == ListenAddress::Tls::when_there_is_a_certificate);
}

TEST_CASE("a Unix socket has a path and a mode") {
    // Guards: 0600 unless another mode is written; nobody but the owner by default.
    const auto path_and_mode = [](std::string_view text) {
        const auto address = parse_listen_address(text);
        REQUIRE_MESSAGE(address.has_value(), text);
        return address->unix_path + " " + std::to_string(address->mode);
    };
    CHECK(path_and_mode("unix:/run/x") == "/run/x " + std::to_string(0600));
    CHECK(path_and_mode("unix:///run/x.sock") == "/run/x.sock " + std::to_string(0600));
    CHECK(path_and_mode("/run/x.sock") == "/run/x.sock " + std::to_string(0600));
    CHECK(path_and_mode("/run/x.sock?mode=0660") == "/run/x.sock " + std::to_string(0660));
    CHECK(path_and_mode("unix:/x?mode=777") == "/x " + std::to_string(0777));
    CHECK(parse_listen_address("unix:/" + std::string(106, 'a')).has_value());
}

TEST_CASE("what is no address is an error that names it") {
    // Guards: no address is guessed from half of one.
    for (const std::string text : {"",
                                   ":",
                                   "x",
                                   "127.0.0.1:",
                                   "127.0.0.1:65536",
                                   "127.0.0.1:-1",
                                   "127.0.0.1:8x",
                                   "::1:80",
                                   "fe80::1",
                                   "[::1]",
                                   "unix:",
                                   "unix:x.sock",
                                   "unix:/",
                                   "unix:/run/",
                                   "/run/x",
                                   "/run/x.sock?mode=",
                                   "/run/x.sock?mode=0888",
                                   "/run/x.sock?mode=01777",
                                   "/run/x.sock?owner=root",
                                   "ftp://x:1",
                                   "127.0.0.1:80/",
                                   "unix://x/y"}) {
        CAPTURE(text);
        const auto address = parse_listen_address(text);
        REQUIRE(address.has_error());
        CHECK(address.error().detail.find("cannot listen on \"" + text + "\": ") == 0);
    }
    CHECK(parse_listen_address("unix:/" + std::string(107, 'a')).has_error());
}
