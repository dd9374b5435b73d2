// A page of this machine is known by its whole origin; what it may send is what it asks for.
#include "proxy/api/cors.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;
using namespace corral::api;

namespace {

std::string field(const http::Answer& answer, std::string_view name) {
    for (const auto& [key, value] : answer.fields) {
        if (key == name) {
            return value;
        }
    }
    return "-";
}

}  // namespace

TEST_CASE("only the whole of an origin makes it one of this machine") {
    // Guards: a page of localhost.example.org must not pass for one of localhost.
    for (const auto* origin : {"http://localhost", "http://localhost:3000", "https://127.0.0.1:1",
                               "http://[::1]:8080", "HTTP://LocalHost"}) {
        CAPTURE(origin);
        CHECK(is_local_origin(origin));
    }
    for (const auto* origin :
         {"", "null", "localhost", "http://", "http://localhost.example.org",
          "http://localhost:", "http://localhost:1.example.org", "http://127.0.0.10",
          "http://[::1]x", "http://localhost/", "http://evil@localhost", "ftp://localhost",
          "http://localhost:80@evil"}) {
        CAPTURE(origin);
        CHECK_FALSE(is_local_origin(origin));
    }
}

TEST_CASE("a preflight echoes the fields that are fields, for pages of this machine") {
    // Guards: the contract's section 1.0, and that other pages are told nothing.
    http::RequestHead head;
    head.fields.add("Origin", "http://localhost:3000");
    CHECK(field(preflight(head), "Access-Control-Allow-Headers") ==
          "Content-Type, Authorization, Accept, X-Requested-With");
    head.fields.add("Access-Control-Request-Headers", "x-stainless-os,  bad(), y ,");
    const auto answer = preflight(head);
    CHECK(answer.status == 204);
    CHECK(field(answer, "Access-Control-Allow-Origin") == "http://localhost:3000");
    CHECK(field(answer, "Access-Control-Allow-Headers") == "x-stainless-os, y");
    head.fields.remove("origin");
    head.fields.add("Origin", "http://localhost.example.org");
    CHECK(preflight(head).fields.empty());
}
