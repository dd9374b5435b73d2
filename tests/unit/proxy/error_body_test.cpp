// Errors reach a client as the contract has them, and carry nothing harmful out of messages.
#include "proxy/http/error_body.hpp"

#include "core/failure.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using namespace corral::http;
using namespace std::string_literals;

namespace {

Error client(Errc code, std::string detail = "why") {
    return {code, Blame::client, std::move(detail)};
}

std::string field_of(const ErrorAnswer& answer, std::string_view name) {
    for (const auto& [key, value] : answer.fields) {
        if (key == name) {
            return value;
        }
    }
    return "";
}

}  // namespace

TEST_CASE("each error has its status, and the peer's type and code for it") {
    struct Row {
        Error error;
        int status;
        std::string_view type, code;
    };
    const std::vector<Row> rows{
        {client(Errc::bad_request), 400, "invalid_request_error", "bad_request"},
        {client(Errc::malformed_json), 400, "invalid_request_error", "bad_request"},
        {client(Errc::unauthorized), 401, "authentication_error", "unauthorized"},
        {client(Errc::forbidden), 403, "authentication_error", "forbidden"},
        {client(Errc::not_found), 404, "invalid_request_error", "not_found"},
        {client(Errc::model_missing), 404, "invalid_request_error", "not_found"},
        {client(Errc::model_not_found), 404, "invalid_request_error", "model_not_found"},
        {client(Errc::method_not_allowed), 405, "invalid_request_error", "invalid_request"},
        {client(Errc::timed_out), 408, "invalid_request_error", "invalid_request"},
        {client(Errc::body_too_large), 413, "invalid_request_error", "invalid_request"},
        {refuse(HttpStatus::uri_too_long, "x"), 414, "invalid_request_error", "invalid_request"},
        {refuse(HttpStatus::unsupported_media_type, "x"), 415, "invalid_request_error",
         "invalid_request"},
        {refuse(HttpStatus::expectation_failed, "x"), 417, "invalid_request_error",
         "invalid_request"},
        {client(Errc::misdirected), 421, "invalid_request_error", "invalid_request"},
        {client(Errc::invalid_config), 422, "invalid_request_error", "invalid_request"},
        {client(Errc::concurrency_limit), 429, "rate_limit_error", "concurrency_limit"},
        {client(Errc::head_too_large), 431, "invalid_request_error", "invalid_request"},
        {client(Errc::unsupported), 501, "server_error", "internal_error"},
        {refuse(HttpStatus::version_not_supported, "x"), 505, "server_error", "internal_error"},
        {Error(Errc::start_failed, Blame::upstream, "x"), 502, "server_error", "bad_gateway"},
        {Error(Errc::start_timeout, Blame::upstream, "x"), 502, "server_error", "bad_gateway"},
        {Error(Errc::upstream_closed, Blame::upstream, "x"), 502, "server_error", "bad_gateway"},
        {Error(Errc::upstream_malformed, Blame::upstream, "x"), 502, "server_error", "bad_gateway"},
        {Error(Errc::upstream_unreachable, Blame::upstream, "x"), 502, "server_error",
         "bad_gateway"},
        {Error(Errc::overloaded, Blame::internal, "x"), 503, "server_error", "service_unavailable"},
        {Error(Errc::unloaded, Blame::internal, "x"), 503, "server_error", "service_unavailable"},
        {Error(Errc::timed_out, Blame::upstream, "x"), 504, "server_error", "gateway_timeout"},
        {Error(Errc::internal, Blame::internal, "x"), 500, "server_error", "internal_error"},
        {Error(Errc::io, Blame::internal, "x"), 500, "server_error", "internal_error"},
    };
    for (const auto& row : rows) {
        const auto answer = render_error(row.error);
        CAPTURE(answer.body);
        CHECK(answer.status == row.status);
        CHECK(answer.content_type == "application/json");
        CHECK_FALSE(reason_phrase(answer.status).empty());
        const auto body = nlohmann::json::parse(answer.body);
        CHECK(body.at("src") == "corral");
        CHECK(body.at("error").at("type") == row.type);
        CHECK(body.at("error").at("code") == row.code);
        CHECK(body.at("error").size() == 4);
    }
}

TEST_CASE("the JSON bodies are exactly the contract's") {
    CHECK(render_error(client(Errc::model_not_found, "no model \"x\"")).body ==
          R"({"src":"corral","error":{"message":"no model \"x\"","type":"invalid_request_error",)"
          R"("param":"model","code":"model_not_found"}})");
    CHECK(render_error(client(Errc::not_found, "404")).body ==
          R"({"src":"corral","error":{"message":"404","type":"invalid_request_error",)"
          R"("param":null,"code":"not_found"}})");
    const auto busy = render_error(client(Errc::concurrency_limit), "text/plain");
    CHECK(busy.body ==
          R"({"src":"corral","error":{"message":"Too many requests","type":"rate_limit_error",)"
          R"("param":null,"code":"concurrency_limit"}})");
    CHECK(busy.content_type == "application/json");
    CHECK(field_of(busy, "Retry-After") == "1");
}

TEST_CASE("what failed with a model is data beside the message") {
    // Guards: programs read the class and when to come back; nothing unsafe leaves with the lines.
    Failure failure;
    failure.kind = FailureClass::out_of_memory;
    failure.status = "exit status 1";
    failure.last_lines = "one\n\x1b[31mtwo";
    failure.hint = "Need less.";
    Error error(Errc::start_failed, Blame::upstream, "no");
    error.failure = std::make_shared<const Failure>(failure);
    const auto once = nlohmann::json::parse(render_error(error).body).at("error");
    CHECK(once.at("code") == "bad_gateway");
    CHECK(once.at("failure") == nlohmann::json{{"class", "out_of_memory"},
                                               {"status", "exit status 1"},
                                               {"last_lines", {"one", "two"}},
                                               {"hint", "Need less."}});
    failure.retry_after = std::chrono::seconds(8);
    Error again(Errc::cooling_down, Blame::upstream, "not yet");
    again.failure = std::make_shared<const Failure>(failure);
    const auto answer = render_error(again);
    CHECK(answer.status == 503);
    CHECK(field_of(answer, "Retry-After") == "8");
    const auto rests = nlohmann::json::parse(answer.body).at("error");
    CHECK(rests.at("code") == "model_cooling_down");
    CHECK(rests.at("failure").at("retry_after") == 8);
}

TEST_CASE("Accept chooses the form") {
    const auto error = client(Errc::not_found, "<b>&\"'");
    CHECK(render_error(error, "text/plain").body == "corral: <b>&\"'");
    CHECK(render_error(error, "text/html, */*").body ==
          "<html><body><h1>corral</h1><p>&lt;b&gt;&amp;&quot;&#39;</p></body></html>");
    CHECK(render_error(error, "text/html, text/plain").content_type == "text/plain; charset=utf-8");
    CHECK(render_error(error, "*/*").content_type == "application/json");
    CHECK(render_error(error, "application/json").content_type == "application/json");
}

TEST_CASE("fields that belong to a status are there") {
    CHECK(field_of(render_error(client(Errc::method_not_allowed), "", "GET, HEAD"), "Allow") ==
          "GET, HEAD");
    CHECK(field_of(render_error(client(Errc::unauthorized)), "WWW-Authenticate") ==
          "Basic realm=\"corral\"");
    const Error overloaded(Errc::overloaded, Blame::internal, "full");
    CHECK_FALSE(field_of(render_error(overloaded), "Retry-After").empty());
    CHECK(field_of(render_error(client(Errc::not_found)), "Retry-After").empty());
    CHECK(field_of(render_error(client(Errc::not_found)), "X-Content-Type-Options") == "nosniff");
}

TEST_CASE("foreign text in messages is made safe") {
    const std::string_view mark = "\xef\xbf\xbd";
    CHECK(safe_text("plain \xc3\xa9 \xf0\x9f\x98\x80\n\tx") ==
          "plain \xc3\xa9 \xf0\x9f\x98\x80\n\tx");
    CHECK(safe_text("a\x1b[31mred\x1b[0m b") == "ared b");
    CHECK(safe_text("a\x1b[999999;xb") == "ab");
    CHECK(safe_text("end\x1b[") == "end");
    CHECK(safe_text("end\x1b") == "end");
    CHECK(safe_text("a\r\nb\rc") == "a\nb" + std::string(mark) + "c");
    CHECK(safe_text("a\0b"s) == "a" + std::string(mark) + "b");
    CHECK(safe_text("\xff") == mark);
    CHECK(safe_text("cut \xf0\x9f") == "cut " + std::string(mark) + std::string(mark));
    CHECK(safe_text("\xe2\x80\xae"
                    "evil") == std::string(mark) + "evil");  // U+202E
    CHECK(safe_text("\xc2\x9b"
                    "31m") == std::string(mark) + "31m");  // C1 control
    CHECK(safe_text("\x7f") == mark);
    const auto cut = safe_text(std::string(10'000, 'a'), 100);
    CHECK(cut.size() <= 100);
    CHECK(cut.ends_with("\xe2\x80\xa6"));
    const auto wide = safe_text("\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 9);
    CHECK(wide == "\xf0\x9f\x98\x80\xe2\x80\xa6");  // never half a character
}

TEST_CASE("a hostile message stays inside its JSON string") {
    const auto answer =
        render_error(client(Errc::model_not_found, "\"}\r\nX-Inj: 1\0\xff<script>"s));
    const auto body = nlohmann::json::parse(answer.body);
    CHECK(body.size() == 2);
    CHECK(answer.body.find('\n') == std::string::npos);
}

TEST_CASE("an empty detail becomes the status' own words, a system error its blame's status") {
    const auto body = nlohmann::json::parse(render_error(client(Errc::not_found, "")).body);
    CHECK(body.at("error").at("message") == "Not Found");
    const auto refused = boost::system::errc::make_error_code(boost::system::errc::io_error);
    CHECK(status_of(Error(refused, Blame::upstream, "x")) == 502);
    CHECK(status_of(Error(refused, Blame::internal, "x")) == 500);
    CHECK(status_of(client(Errc::cancelled)) == 499);
}
