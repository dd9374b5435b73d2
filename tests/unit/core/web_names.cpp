// core/web_names: what an entry of allowedHosts or allowedOrigins means, and what it does not.
#include "core/web_names.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;

namespace {

bool host(std::string_view entry, std::string_view name) {
    const auto pattern = read_host_pattern(entry);
    REQUIRE(pattern);
    return matches_host(*pattern, name);
}

bool origin(std::string_view entry, std::string_view page) {
    const auto pattern = read_origin_pattern(entry);
    REQUIRE(pattern);
    return matches_origin(*pattern, page);
}

}  // namespace

TEST_CASE("a host entry means its name, or the names below it") {
    // Guards: no name that only ends or begins like an allowed one is let in.
    CHECK(host("llm.example.org", "LLM.Example.Org"));
    CHECK(host(" llm.example.org:8443 ", "llm.example.org"));
    CHECK(host("llm.example.org.", "llm.example.org"));
    CHECK_FALSE(host("llm.example.org", "x.llm.example.org"));
    CHECK_FALSE(host("llm.example.org", "llm.example.org.evil.com"));
    for (const auto* entry : {"*.example.org", ".example.org"}) {
        CHECK(host(entry, "a.example.org"));
        CHECK(host(entry, "a.b.EXAMPLE.org"));
        CHECK_FALSE(host(entry, "example.org"));
        CHECK_FALSE(host(entry, ".example.org"));
        CHECK_FALSE(host(entry, "evilexample.org"));
    }
    CHECK(host("*", "anything.example"));
}

TEST_CASE("what is no host entry is refused with an example") {
    // Guards: a URL or a typing error is told, not silently without effect.
    for (const auto* entry : {"", " ", "http://llm.example.org", "a/b", "a b", "*x.org", "a.*.org",
                              "me@host", "[::1", "*.", "\xc3\xa4.org"}) {
        CAPTURE(entry);
        const auto pattern = read_host_pattern(entry);
        REQUIRE(pattern.has_error());
        CHECK(pattern.error().detail.find("llm.example.org") != std::string::npos);
    }
}

TEST_CASE("an origin entry means scheme, host and port") {
    // Guards: each part counts, with a scheme's usual port for one that is not written.
    CHECK(origin("https://chat.example.org", "https://chat.example.org"));
    CHECK(origin("HTTPS://Chat.example.org/", "https://chat.EXAMPLE.org"));
    CHECK(origin("https://chat.example.org:443", "https://chat.example.org"));
    CHECK_FALSE(origin("https://chat.example.org", "http://chat.example.org"));
    CHECK_FALSE(origin("https://chat.example.org", "https://chat.example.org:8443"));
    CHECK(origin("https://chat.example.org:*", "https://chat.example.org:8443"));
    CHECK(origin("chat.example.org", "http://chat.example.org"));
    CHECK(origin("chat.example.org", "https://chat.example.org"));
    CHECK_FALSE(origin("chat.example.org", "app://chat.example.org"));
    CHECK(origin("https://*.example.org", "https://a.b.example.org"));
    CHECK_FALSE(origin("https://*.example.org", "https://example.org"));
    CHECK_FALSE(origin("https://*.example.org", "https://evil.com/.example.org"));
    CHECK_FALSE(origin("https://*.example.org", "https://evil.com#.example.org"));
    CHECK_FALSE(origin("https://example.org", "https://example.org.evil.com"));
    CHECK_FALSE(origin("https://example.org", "https://example.org@evil.com"));
    CHECK(origin("app://obsidian.md", "app://obsidian.md"));
    CHECK(origin("chrome-extension://*", "chrome-extension://abcdefgh"));
    CHECK_FALSE(origin("chrome-extension://*", "https://abcdefgh"));
    CHECK(origin("http://[fd00::1]:3000", "http://[fd00::1]:3000"));
    CHECK(origin("null", "null"));
    CHECK_FALSE(origin("https://*", "null"));
    CHECK(origin("*", "null"));
    CHECK(origin("*", "https://evil.example"));
}

TEST_CASE("what is no origin entry is refused") {
    // Guards: no entry allows more than its writer can have meant.
    for (const auto* entry : {"", "https://", "file://", "https://a/b", "https://a:x", "https://a:",
                              "https://**", "ht tp://a", "https://me@a", "https://a b"}) {
        CAPTURE(entry);
        CHECK(read_origin_pattern(entry).has_error());
    }
}

TEST_CASE("a page is at home where its host and port are the ones that were asked") {
    // Guards: same-origin behind a proxy that ends TLS, and on every usual port.
    const auto same = [](std::string_view page, std::string_view authority) {
        OriginParts parts;
        return split_origin(page, parts) && is_same_authority(parts, authority);
    };
    CHECK(same("http://box:8080", "box:8080"));
    CHECK(same("http://BOX", "box:80"));
    CHECK(same("https://box", "box:443"));
    CHECK(same("https://llm.example.org", "llm.example.org"));
    CHECK(same("http://[::1]:8080", "[::1]:8080"));
    CHECK_FALSE(same("http://box:8080", "box:8081"));
    CHECK_FALSE(same("http://box", "box:8080"));
    CHECK_FALSE(same("https://box", "box:80"));
    CHECK_FALSE(same("http://box.evil", "box"));
    CHECK_FALSE(same("app://box", "box"));
    CHECK_FALSE(same("null", "null"));
}
