// What a request target means: one normal form for routing and keys, the client's bytes for the
// upstream.
#include "proxy/http/target.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using namespace corral::http;

namespace {

struct Row {
    std::string_view target;
    std::string_view path;  ///< empty: refused with 400
    std::string_view normal;
    bool redirect = false;
};

const std::vector<Row> rows{
    {"/", "/", "/"},
    {"/v1/models", "/v1/models", "/v1/models"},
    {"/v1/models/", "/v1/models/", "/v1/models/"},
    {"/LOGS", "/LOGS", "/LOGS"},
    {"/logs;x", "/logs;x", "/logs;x"},
    {"/%6cogs", "/%6cogs", "/logs"},
    {"/v1/%6Dodels", "/v1/%6Dodels", "/v1/models"},
    {"/v1%2Fmodels", "/v1%2Fmodels", "/v1%2Fmodels"},
    {"/v1%2fmodels", "/v1%2fmodels", "/v1%2Fmodels"},
    {"/a%252Fb", "/a%252Fb", "/a%252Fb"},
    {"/a%20b", "/a%20b", "/a b"},
    {"/a+b", "/a+b", "/a+b"},
    {"/caf\xc3\xa9", "/caf%C3%A9", "/caf\xc3\xa9"},
    {"/caf%C3%A9", "/caf%C3%A9", "/caf\xc3\xa9"},
    {"//v1/models", "/v1/models", "/v1/models", true},
    {"/v1//models", "/v1/models", "/v1/models", true},
    {"/v1/models//", "/v1/models/", "/v1/models/", true},
    {"//", "/", "/", true},
    {"/a/../b", "/b", "/b", true},
    {"/v1/../logs", "/logs", "/logs", true},
    {"/./logs", "/logs", "/logs", true},
    {"/a/.", "/a", "/a", true},
    {"/a/..", "/", "/", true},
    {"/a/b/..", "/a", "/a", true},
    {"/a/b/../", "/a/", "/a/", true},
    {"/...", "/...", "/..."},
    {"/.a", "/.a", "/.a"},
    {"//evil.example/x", "/evil.example/x", "/evil.example/x", true},
    {"/upstream/m/a%2Fb", "/upstream/m/a%2Fb", "/upstream/m/a%2Fb"},
    {"/upstream/m//x", "/upstream/m/x", "/upstream/m/x", true},
    {"/upstream/m/%2e%2e/x", "/upstream/m/%2e%2e/x", "/upstream/m/../x"},
    {"/upstream/m/%5cx", "/upstream/m/%5cx", "/upstream/m/\\x"},
    {"/..", "", ""},
    {"/a/../..", "", ""},
    {"/ui/../../etc/passwd", "", ""},
    {"/ui/..", "", ""},
    {"/upstream/..", "", ""},
    {"/upstream/m/../../x", "", ""},
    {"/captures/../../x", "", ""},
    {"/ui/%2e%2e/x", "", ""},
    {"/ui/.%2E/x", "", ""},
    {"/ui/%2e/x", "", ""},
    {"/ui/..%2f..%2fetc/passwd", "", ""},
    {"/ui/x%2f..", "", ""},
    {"/ui/..%5c..%5cx", "", ""},
    {"/ui/..\\x", "", ""},
    {"/a%00b", "", ""},
    {"/upstream/m/a%00b", "", ""},
    {"/a%0d%0ab", "", ""},
    {"/a%7f", "", ""},
    {"/a%", "", ""},
    {"/a%2", "", ""},
    {"/a%2g", "", ""},
    {"/a%u0041", "", ""},
    {"/upstream/m/%zz", "", ""},
    {"/a\xff", "", ""},
    {"/a\xc0\xaf", "", ""},
    {"a", "", ""},
    {"", "", ""},
};

bool is_model(std::string_view name) {
    static const std::set<std::string, std::less<>> names{"m", "org", "org/model", "a b", "x%y"};
    return names.contains(name);
}

Result<UpstreamTarget> split(std::string_view target) {
    return split_upstream(parse_target(target).value(), is_model);
}

}  // namespace

TEST_CASE("paths have one clean and one normal form") {
    for (const auto& row : rows) {
        CAPTURE(row.target);
        const auto parsed = parse_target(row.target);
        CHECK(parsed.has_value() == !row.path.empty());
        if (!parsed) {
            CHECK(parsed.error().is(Errc::bad_request));
            continue;
        }
        CHECK(parsed->path == row.path);
        CHECK(parsed->normal == row.normal);
        CHECK(parsed->redirect == row.redirect);
        const auto again = parse_target(parsed->path);
        REQUIRE(again.has_value());  // a redirect leads to a clean path, once
        CHECK_FALSE(again->redirect);
        CHECK(again->normal == parsed->normal);
    }
}

TEST_CASE("queries stay as they were written") {
    const auto target = parse_target("/a//b?x=%2e%2e/..//&y=%zz?#").value();
    CHECK(target.query == "x=%2e%2e/..//&y=%zz?#");
    CHECK(target.location() == "/a/b?x=%2e%2e/..//&y=%zz?#");
    CHECK(parse_target("/a?").value().location() == "/a?");
    CHECK(parse_target("/a").value().location() == "/a");
    CHECK_FALSE(parse_target("/a").value().has_query);
    CHECK(parse_target("*").value().path == "*");
}

TEST_CASE("query values are decoded, the first of a name counts") {
    CHECK(query_value("model=a&model=b", "model") == "a");
    CHECK(query_value("x=1&model=org%2Fa%20b+c", "model") == "org/a b c");
    CHECK(query_value("mod%65l=a", "model") == "a");
    CHECK(query_value("model", "model") == "");
    CHECK(query_value("model=a=b", "model") == "a=b");
    CHECK(query_value("model=%zz&model=b", "model") == "b");
    CHECK(query_value("models=a&xmodel=b&Model=c", "model") == std::nullopt);
    CHECK(query_value("", "model") == std::nullopt);
    CHECK(query_value("&&", "model") == std::nullopt);
}

TEST_CASE("the longest model name behind /upstream/ wins, what follows stays as it came") {
    const auto check = [](std::string_view target, std::string_view model,
                          std::string_view request_target) {
        CAPTURE(target);
        const auto found = split(target);
        REQUIRE(found.has_value());
        CHECK(found->model == model);
        CHECK(found->request_target() == request_target);
        CHECK(found->redirect.empty());
    };
    check("/upstream/m/", "m", "/");
    check("/upstream/m/v1/models", "m", "/v1/models");
    check("/upstream/m/foo%2Fbar?x=1&y=%20", "m", "/foo%2Fbar?x=1&y=%20");
    check("/upstream/m/%252F%e4", "m", "/%252F%e4");
    check("/upstream/m/x?", "m", "/x?");
    check("/upstream/org/q", "org", "/q");
    check("/upstream/org/model/q", "org/model", "/q");
    check("/upstream/org%2Fmodel/q", "org/model", "/q");
    check("/upstream/org%2fmodel/q", "org/model", "/q");
}

TEST_CASE("names that need encoding are found, unknown ones are not") {
    CHECK(split("/upstream/a%20b/x").value().model == "a b");
    CHECK(split("/upstream/x%25y/x").value().model == "x%y");
    CHECK(split("/%75pstream/m/x").value().remainder == "/x");
    for (const auto* target : {"/upstream/", "/upstream/nope/x", "/upstream/M/x",
                               "/upstream/m%20/x", "/upstream/%2e%2e/logs", "/upstream/a+b/x"}) {
        CAPTURE(target);
        const auto found = split(target);
        REQUIRE(found.has_error());
        CHECK(found.error().is(Errc::model_not_found));
    }
}

TEST_CASE("a model with nothing behind it is redirected to its root, under the searched name") {
    CHECK(split("/upstream/m").value().redirect == "/upstream/m/");
    CHECK(split("/upstream/m?a=b").value().redirect == "/upstream/m/?a=b");
    CHECK(split("/upstream/org/model").value().redirect == "/upstream/org/model/");
    CHECK(split("/upstream/org%2Fmodel").value().redirect == "/upstream/org%2Fmodel/");
}

TEST_CASE("a path of ten thousand segments costs a bounded number of look-ups") {
    std::string path = "/upstream";
    for (int i = 0; i < 8'000; ++i) {
        path += "/a";
    }
    std::size_t calls = 0;
    const auto found = split_upstream(parse_target(path).value(), [&](std::string_view) {
        ++calls;
        return false;
    });
    CHECK(found.has_error());
    CHECK(calls <= 32);
}

TEST_CASE("segments made from names are encoded") {
    CHECK(percent_encode_segment("a/b c%\r\n\xc3\xa9") == "a%2Fb%20c%25%0D%0A%C3%A9");
    CHECK(percent_encode_segment("llama3.2:1b-instruct") == "llama3.2:1b-instruct");
    CHECK(percent_decode(percent_encode_segment("a/b c%?#\\")) == "a/b c%?#\\");
}

TEST_CASE("one value of a query is replaced and every other byte stays") {
    // Guards: a peer asked by query gets its own name for the model, and nothing else changes.
    struct Row {
        std::string_view query;
        std::string_view value;
        std::string_view out;
    };
    const std::vector<Row> rows{
        {"model=a", "b", "model=b"},
        {"x=%20&model=p1%2Fpm&y=1+2", "pm", "x=%20&model=pm&y=1+2"},
        {"mod%65l=a&model=c", "b", "mod%65l=b&model=c"},
        {"model=a", "a b&c=d+e%/ü", "model=a%20b%26c%3Dd%2Be%25/%C3%BC"},
        {"model=%zz&model=a", "b", "model=%zz&model=b"},
        {"model&x", "b", "model=b&x"},
        {"model=", "b", "model=b"},
        {"x=model", "b", "x=model"},
        {"", "b", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.query);
        CHECK(replace_query_value(row.query, "model", row.value) == row.out);
    }
}

TEST_CASE("what stands behind the first segment keeps the client's bytes") {
    // Guards: a page's own paths below /comfyui/ arrive as they were sent.
    const auto behind = [](std::string_view target) {
        return std::string(path_behind_first_segment(parse_target(target).value()));
    };
    CHECK(behind("/comfyui/") == "/");
    CHECK(behind("/comfyui/api/a%2Fb?x=1") == "/api/a%2Fb");
    CHECK(behind("/%63omfyui/x") == "/x");
    CHECK(behind("/comfyui").empty());
}
