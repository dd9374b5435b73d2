// The Host rule: which names no stranger's name server can point at this machine.
#include "proxy/api/hosts.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral::api;

TEST_CASE("addresses, localhost, one label, .local and .internal are names of this network") {
    // Guards: what people type at home works without a config (safety case 148).
    for (const auto* host :
         {"127.0.0.1", "192.168.1.7", "[::1]", "[2001:db8::1]", "[::ffff:10.0.0.1]", "localhost",
          "LOCALHOST.", "gpu-box", "gpu_box", "GPU-BOX.", "box.local", "a.b.Local", "box.local.",
          "llm.internal", "0xbeef-box", "box0x7f", "a1"}) {
        CAPTURE(host);
        CHECK(is_local_name(host));
    }
}

TEST_CASE("names that only look like them are not") {
    // Guards: DNS rebinding, with every disguise of an address that browsers undo themselves.
    for (const auto* host : {"evil.example",
                             "localhost.evil.com",
                             "127.0.0.1.evil.com",
                             "2130706433",
                             "0x7f000001",
                             "0X7F000001",
                             "017700000001",
                             "127.1",
                             "127.0.0.256",
                             "127.0.0.1.",
                             "10.0.0x1",
                             "0x",
                             "evil.example.0",
                             "evilocal.com",
                             ".local",
                             ".internal",
                             ".",
                             "",
                             "..",
                             "x.localx",
                             "[::1",
                             "[127.0.0.1]x",
                             "[evil]",
                             "[fe80::1%eth0]",
                             "box.local.evil.com"}) {
        CAPTURE(host);
        CHECK_FALSE(is_local_name(host));
    }
}

TEST_CASE("the machine's own name and the listed ones pass, with any port") {
    // Guards: allowedHosts opens exactly what it names, and a port never matters.
    const std::vector<std::string> allowed{"llm.example.org", "*.corp.example"};
    const auto passes = [&](std::string_view authority) {
        return is_allowed_host(authority, "box.lan.example", allowed);
    };
    for (const auto* host : {"box.lan.example", "BOX.lan.example:8080", "box.lan.example.",
                             "llm.example.org:443", "LLM.example.org.", "a.corp.example",
                             "127.0.0.1:8091", "[::1]:8091", "localhost:1", ""}) {
        CAPTURE(host);
        CHECK(passes(host));
    }
    for (const auto* host : {"x.box.lan.example", "corp.example", "llm.example.org.evil.com",
                             "other.example:80", "2130706433:8091"}) {
        CAPTURE(host);
        CHECK_FALSE(passes(host));
    }
    CHECK_FALSE(is_allowed_host("a.example", "", {}));
    CHECK(is_allowed_host("a.example", "", std::vector<std::string>{"*"}));
}
