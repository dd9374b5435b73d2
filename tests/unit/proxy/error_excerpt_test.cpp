// What a model's server says went wrong is found in its answer, in a bounded part of it.
#include "proxy/http/error_excerpt.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

using namespace corral::http;

namespace {

std::string message_of(std::string_view body, std::size_t piece = 1 << 20) {
    ErrorExcerpt excerpt;
    for (std::size_t at = 0; at < body.size(); at += piece) {
        excerpt.feed(body.substr(at, piece));
    }
    return excerpt.message();
}

std::string repeated(std::string_view text, std::size_t count) {
    std::string out;
    while (count-- > 0) {
        out += text;
    }
    return out;
}

}  // namespace

TEST_CASE("the message stands in error.message, error, message or detail") {
    // Guards: the order of llama-swap, whatever the order in the text.
    const std::string_view rows[][2] = {
        {R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})",
         "Loading model"},
        {R"({"error":"no such model"})", "no such model"},
        {R"({"object":"error","message":"too long","code":400})", "too long"},
        {R"({"detail":"Not Found"})", "Not Found"},
        {R"({"detail":"d","message":"m","error":{"message":"e"}})", "e"},
        {R"({"detail":"d","message":"m","error":{"message":"  "}})", "m"},
        {R"({"detail":"d","message":7,"error":{}})", "d"},
        {R"({"error":{"message":" two\nlines \u00e9\n"}})", "two\nlines é"},
        {R"({"detail":[{"msg":"m","message":"x"}]})", ""},
        {R"({"error":["x",{"message":"y"}],"x":{"message":"z"}})", ""},
        {R"([{"message":"y"}])", ""},
        {R"({"error":{"cause":{"message":"y"}}})", ""},
        {"Internal Server Error", ""},
        {"", ""},
    };
    for (const auto& [body, message] : rows) {
        CAPTURE(body);
        CHECK(message_of(body) == message);
        for (std::size_t piece = 1; piece < 9; ++piece) {
            CHECK(message_of(body, piece) == message);
        }
    }
}

TEST_CASE("a long message is cut, between characters") {
    // Guards: at most 500 bytes of valid UTF-8 leave, however long the body and wherever it is cut.
    for (const std::string_view text :
         {"a", "é", "日", "😀", "n\\n", "\\ud83d\\ude00", "\\\\", "a\\\""}) {
        for (const std::size_t before : {0U, 1U, 2U, 3U, 4U, 5U, 7U, 11U, 3'700U}) {
            for (const auto* const end : {"\"}}", ""}) {
                const auto body = R"({"error":{"code":1,"message":")" + std::string(before, 'x') +
                                  repeated(text, 5'000) + end;
                CAPTURE(body.substr(0, 60));
                const auto message = message_of(body, 1'000);
                CHECK(message.size() <= ErrorExcerpt::message_bytes_max);
                CHECK(message.size() > ErrorExcerpt::message_bytes_max - 4);
                CHECK_NOTHROW(static_cast<void>(nlohmann::json(message).dump()));
            }
        }
    }
}

TEST_CASE("a body that is cut behind its message still has it") {
    // Guards: an error that echoes a whole prompt does not lose what it says first.
    const auto body = R"({"message":"bad input","detail":")" + std::string(100'000, 'x') + "\"}";
    CHECK(message_of(body) == "bad input");
    CHECK(message_of(std::string(1'000'000, '[')).empty());
    CHECK(message_of("{\"a\":\"" + std::string(1'000'000, '\\')).empty());
    CHECK(message_of(R"({"message":")" + std::string(5'000, '\xff') + "\"}").empty());
}
