// The kind of a body decides how its model is found and whether it can be edited.
#include "proxy/http/body_model.hpp"

#include <doctest/doctest.h>

#include <string>

using corral::http::BodyModel;
using corral::http::Fields;
using corral::http::Verdict;

namespace {

BodyModel scanner_for(const std::string& type) {
    Fields fields;
    if (!type.empty()) {
        fields.add("Content-Type", type);
    }
    return BodyModel(fields);
}

}  // namespace

TEST_CASE("each kind of body that can name a model does") {
    struct Row {
        std::string type;
        std::string body;
        std::string edited;  // empty: this kind cannot be edited
    };
    const Row rows[] = {
        {"application/json; charset=utf-8", R"({"x":1.0,"model":"a"})",
         R"({"x":1.0,"model":"b\"c"})"},
        {"Application/JSON", R"({"model":"a"})", R"({"model":"b\"c"})"},
        {"multipart/form-data; boundary=B",
         "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--B--\r\n",
         "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nb\"c\r\n--B--\r\n"},
        {"application/x-www-form-urlencoded", "x=1&model=a", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.type);
        auto scanner = scanner_for(row.type);
        for (const char byte : row.body) {
            REQUIRE(scanner.feed(std::string_view(&byte, 1)) != Verdict::malformed);
        }
        REQUIRE(scanner.finish() == Verdict::complete);
        CHECK(scanner.has_model());
        CHECK(scanner.model() == "a");
        std::string body = row.body;
        CHECK(scanner.replace_model(body, "b\"c") == !row.edited.empty());
        CHECK(body == (row.edited.empty() ? row.body : row.edited));
    }
}

TEST_CASE("a body of another kind, or of none, names nothing and is not looked at") {
    for (const auto* type : {"", "text/plain", "application/octet-stream"}) {
        auto scanner = scanner_for(type);
        CHECK(scanner.feed("{\"model\": broken") == Verdict::need_more);
        CHECK(scanner.finish() == Verdict::complete);
        CHECK_FALSE(scanner.has_model());
        CHECK_FALSE(scanner.is_json());
    }
}

TEST_CASE("only the top-level stream of a JSON body counts, and the last of them") {
    // Guards: who is told of the loading is who asked for a stream, as the engine understands it.
    struct Row {
        std::string body;
        bool stream;
    };
    const Row rows[] = {
        {R"({"model":"a","stream":true})", true},
        {R"({"stream":true,"model":"a"})", true},
        {R"({"model":"a","stream":false})", false},
        {R"({"model":"a","stream":"true"})", false},
        {R"({"model":"a","x":{"stream":true}})", false},
        {R"({"model":"a","stream":true,"stream":false})", false},
        {R"({"model":"a"})", false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.body);
        auto scanner = scanner_for("application/json");
        REQUIRE(scanner.feed(row.body) == Verdict::complete);
        CHECK(scanner.stream() == row.stream);
    }
    auto form = scanner_for("application/x-www-form-urlencoded");
    CHECK(form.feed("model=a&stream=true") != Verdict::malformed);
    CHECK_FALSE(form.stream());
}
