// core/endpoint: which addresses of models are understood, and why the others are not.
#include "core/endpoint.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;

TEST_CASE("addresses are taken apart") {
    // Guards: host, port, base path and socket path land where the connector looks for them.
    const struct {
        const char* url;
        const char* host;
        int port;
        const char* path;
        const char* authority;
    } rows[] = {
        {"http://localhost:5800", "localhost", 5800, "", "localhost:5800"},
        {"http://h", "h", 80, "", "h:80"},
        {"https://h", "h", 443, "", "h:443"},
        {"http://h/", "h", 80, "", "h:80"},
        {"http://h:1/a/b//", "h", 1, "/a/b", "h:1"},
        {"http://[::1]:8080/x", "::1", 8080, "/x", "[::1]:8080"},
        {"http://[::1]", "::1", 80, "", "[::1]:80"},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.url));
        const auto endpoint = parse_endpoint(row.url);
        REQUIRE(endpoint.has_value());
        CHECK(endpoint->host == row.host);
        CHECK(endpoint->port == row.port);
        CHECK(endpoint->base_path == row.path);
        CHECK(endpoint->authority() == row.authority);
    }
    CHECK(parse_endpoint("https://h")->tls);
    CHECK(parse_endpoint("unix:///run/m.sock")->unix_path == "/run/m.sock");
    CHECK(parse_endpoint("unix:///run/m.sock")->authority() == "localhost");
}

TEST_CASE("what is no address is refused with the reason") {
    // Guards safety.md case 121.
    const struct {
        const char* url;
        const char* says;
    } rows[] = {
        {"", "scheme"},
        {"localhost:80", "scheme"},
        {"file:///etc/passwd", "scheme"},
        {"gopher://h", "scheme"},
        {"http://", "host is missing"},
        {"http://:80", "host is missing"},
        {"http://h:", "port is missing"},
        {"http://h:0", "number from 1 to 65535"},
        {"http://h:65536", "number from 1 to 65535"},
        {"http://h:8x", "number from 1 to 65535"},
        {"http://u:p@h", "user names"},
        {"http://h?x", "query"},
        {"http://[::1", "is missing"},
        {"http://[::1]x", "only a port"},
        {"http://h\r\nX: y", "character"},
        {"http://a b", "character"},
        {"unix://relative", "absolute path"},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.url));
        const auto endpoint = parse_endpoint(row.url);
        REQUIRE(endpoint.has_error());
        CHECK(endpoint.error().is(Errc::invalid_config));
        CHECK(endpoint.error().detail.find(row.says) != std::string::npos);
    }
    CHECK(parse_endpoint("unix:///" + std::string(107, 'x')).has_error());
}
