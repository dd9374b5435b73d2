// A page of this machine is known by its whole origin; what it may send is what it asks for.
#include "proxy/api/cors.hpp"

#include "proxy/http/error_body.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

namespace {

http::RequestHead request(std::string_view method, std::string_view host,
                          const std::vector<std::pair<std::string, std::string>>& fields) {
    http::RequestHead head;
    head.method = method;
    head.host = host;
    for (const auto& [name, value] : fields) {
        head.fields.add(name, value);
    }
    return head;
}

/// The page that may use this server, "foreign", or "-" when no page asks.
std::string page(std::string_view host,
                 const std::vector<std::pair<std::string, std::string>>& fields,
                 const std::vector<std::string>& allowed = {},
                 std::string_view forwarded_host = {}) {
    const auto head = request("POST", host, fields);
    const auto verdict = judge_page(head, forwarded_host, allowed);
    return verdict.foreign ? "foreign" : verdict.has_origin ? std::string(verdict.origin) : "-";
}

int status(std::string_view method, std::string_view path,
           const std::vector<std::pair<std::string, std::string>>& fields) {
    const auto head = request(method, "box:8080", fields);
    const auto verdict = judge_page(head, {}, {});
    const auto refused = refuse_page(verdict, head, find_route(method, path));
    return refused ? http::status_of(*refused) : 0;
}

}  // namespace

TEST_CASE("pages of this server, of this machine and those that are listed may use it") {
    // Guards: the Origin rule (safety case 147); null and two Origins are of no page.
    CHECK(page("box:8080", {}) == "-");
    CHECK(page("box:8080", {{"Origin", "http://box:8080"}}) == "http://box:8080");
    CHECK(page("box", {{"Origin", "https://BOX"}}) == "https://BOX");
    CHECK(page("box", {{"Origin", "http://localhost:3000"}}) == "http://localhost:3000");
    CHECK(page("box", {{"Origin", "http://box:8080"}}) == "foreign");
    CHECK(page("box", {{"Origin", "https://evil.example"}}) == "foreign");
    CHECK(page("box", {{"Origin", "null"}}) == "foreign");
    CHECK(page("box", {{"Origin", ""}}) == "foreign");
    CHECK(page("", {{"Origin", "http://"}}) == "foreign");
    CHECK(page("box", {{"Origin", "http://localhost"}, {"Origin", "http://localhost"}}) ==
          "foreign");
    CHECK(page("box", {{"Origin", "null"}}, {"null"}) == "null");
    CHECK(page("box", {{"Origin", "https://a.example"}}, {"https://a.example"}) ==
          "https://a.example");
    CHECK(page("box", {{"Origin", "https://b.example"}}, {"https://a.example"}) == "foreign");
    CHECK(page("box", {{"Origin", "https://b.example"}}, {"*"}) == "https://b.example");
    CHECK(page("127.0.0.1:8080", {{"Origin", "https://llm.example"}}, {}, "llm.example") ==
          "https://llm.example");
}

TEST_CASE("without an Origin, Sec-Fetch-Site tells") {
    // Guards: an <img> of another site, and that scripts and typed addresses are not concerned.
    CHECK(page("box", {{"Sec-Fetch-Site", "cross-site"}}) == "foreign");
    CHECK(page("box", {{"Sec-Fetch-Site", "cross-site"}}, {"*"}) == "-");
    for (const auto* site : {"same-site", "same-origin", "none", ""}) {
        CHECK(page("box", {{"Sec-Fetch-Site", site}}) == "-");
    }
    CHECK(page("box", {{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://localhost:3000"}}) ==
          "http://localhost:3000");
}

TEST_CASE("a foreign page may read nothing and do nothing") {
    // Guards: each way to change something is closed, GET among them; lists are only unreadable.
    const std::pair<std::string, std::string> evil{"Origin", "https://evil.example"};
    const std::pair<std::string, std::string> image{"Sec-Fetch-Site", "cross-site"};
    for (const auto& sign : {evil, image}) {
        CAPTURE(sign.first);
        CHECK(status("POST", "/v1/chat/completions", {sign}) == 403);
        CHECK(status("POST", "/unload", {sign}) == 403);
        CHECK(status("POST", "/nowhere", {sign}) == 403);
        CHECK(status("PUT", "/api/profiles/active", {sign}) == 403);
        CHECK(status("DELETE", "/v1/models/a", {sign}) == 403);
        for (const auto* path : {"/unload", "/props", "/upstream/a/x", "/comfyui/", "/comfyui"}) {
            CAPTURE(path);
            CHECK(status("GET", path, {sign}) == 403);
            CHECK(status("HEAD", path, {sign}) == 403);
        }
        for (const auto* path : {"/v1/models", "/running", "/health", "/", "/nowhere"}) {
            CAPTURE(path);
            CHECK(status("GET", path, {sign}) == 0);
        }
    }
    CHECK(status("OPTIONS", "/v1/models", {evil}) == 403);
    CHECK(status("OPTIONS", "/v1/models", {image}) == 0);
    CHECK(status("POST", "/unload", {}) == 0);
}

TEST_CASE("a link may open a model's page, an image or a frame may not") {
    // Guards: links to /upstream/ in notes and chats go on working.
    const std::pair<std::string, std::string> site{"Sec-Fetch-Site", "cross-site"};
    const std::pair<std::string, std::string> mode{"Sec-Fetch-Mode", "navigate"};
    CHECK(status("GET", "/upstream/a/", {site, mode, {"Sec-Fetch-Dest", "document"}}) == 0);
    CHECK(status("GET", "/upstream/a/", {site, mode, {"Sec-Fetch-Dest", "iframe"}}) == 403);
    CHECK(status("GET", "/upstream/a/", {site, {"Sec-Fetch-Mode", "no-cors"}}) == 403);
    CHECK(status("GET", "/unload", {site, mode, {"Sec-Fetch-Dest", "document"}}) == 403);
    CHECK(status("POST", "/upstream/a/", {site, mode, {"Sec-Fetch-Dest", "document"}}) == 403);
}

TEST_CASE("a refusal names the key that would allow it") {
    // Guards: whoever sees the 403 knows what to write where.
    const auto head = request("POST", "box", {{"Origin", "https://chat.example"}});
    const auto refused = refuse_page(judge_page(head, {}, {}), head, find_route("POST", "/x"));
    REQUIRE(refused);
    CHECK(refused->detail.find("allowedOrigins: [\"https://chat.example\"]") != std::string::npos);
}

TEST_CASE("a preflight echoes the fields that are fields") {
    // Guards: the contract's section 1.0, and safety case 149: nothing but names comes back.
    http::RequestHead head;
    CHECK(field(preflight(head), "Access-Control-Allow-Origin") == "*");
    CHECK(field(preflight(head), "Access-Control-Max-Age") == "86400");
    CHECK(field(preflight(head), "Access-Control-Allow-Methods") ==
          "GET, POST, PUT, PATCH, DELETE, OPTIONS");
    head.fields.add("Origin", "http://localhost:3000");
    CHECK(field(preflight(head), "Access-Control-Allow-Origin") == "-");  // the stamp has it
    CHECK(field(preflight(head), "Access-Control-Allow-Headers") ==
          "Content-Type, Authorization, Accept, X-Requested-With");
    head.fields.add("Access-Control-Request-Headers", "x-stainless-os,  bad(), y ,");
    head.fields.add("Access-Control-Request-Headers", "z, x:y, \"q\"");
    const auto answer = preflight(head);
    CHECK(answer.status == 204);
    CHECK(field(answer, "Access-Control-Allow-Headers") == "x-stainless-os, y, z");
    CHECK(field(answer, "Access-Control-Allow-Credentials") == "-");
    CHECK(field(answer, "Access-Control-Allow-Private-Network") == "-");
    head.fields.add("Access-Control-Request-Private-Network", "true");
    CHECK(field(preflight(head), "Access-Control-Allow-Private-Network") == "true");
}
