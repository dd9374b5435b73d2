// What a client is told while its model loads: every event is one that its API has.
#include "proxy/http/loading_stream.hpp"

#include "proxy/http/error_body.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace corral;
using namespace corral::http;
using Json = nlohmann::json;
using Phase = LoadingPoint::Phase;

namespace {

struct Event {
    std::string name;
    Json data;
};

/// The events of a stream as a strict reader has them; comments go to `comments`.
std::vector<Event> events_of(std::string_view text, std::vector<std::string>* comments = nullptr) {
    std::vector<Event> out;
    while (!text.empty()) {
        const auto end = text.find("\n\n");
        REQUIRE(end != std::string_view::npos);
        std::string_view block = text.substr(0, end);
        text.remove_prefix(end + 2);
        if (block.starts_with(": ")) {
            REQUIRE(block.find('\n') == std::string_view::npos);
            if (comments != nullptr) {
                comments->emplace_back(block.substr(2));
            }
            continue;
        }
        Event event;
        if (block.starts_with("event: ")) {
            event.name = block.substr(7, block.find('\n') - 7);
            block.remove_prefix(block.find('\n') + 1);
        }
        REQUIRE(block.starts_with("data: "));
        REQUIRE(block.find('\n') == std::string_view::npos);
        event.data = Json::parse(block.substr(6));
        out.push_back(event);
    }
    return out;
}

LoadingStream stream_of(StreamApi api, const std::string& model = "m") {
    return {api, "7", 1'700'000'000, model};
}

LoadingPoint loading(std::int64_t seconds) {
    return {Phase::loading, 0, std::chrono::seconds(seconds)};
}

/// The first two texts; in this order, which `+` alone does not promise.
std::string told_twice(LoadingStream& stream) {
    std::string out = stream.progress(loading(0));
    out += stream.progress(loading(1));
    return out;
}

/// What a chat's reader has seen so far.
std::string reasoning_of(const std::string& text) {
    std::string out;
    for (const Event& event : events_of(text)) {
        out += event.data.at("choices").at(0).at("delta").at("reasoning_content");
    }
    return out;
}

const Error start_failure(Errc::start_failed, Blame::upstream, "exit status 3\nno memory");

}  // namespace

TEST_CASE("the API of a request is told by its path, with a version or without") {
    // Guards: each of the four gets its own events, everything else none.
    CHECK(stream_api("/v1/chat/completions") == StreamApi::chat);
    CHECK(stream_api("/chat/completions?x=/v1/messages") == StreamApi::chat);
    CHECK(stream_api("/v1/completions") == StreamApi::completions);
    CHECK(stream_api("/responses") == StreamApi::responses);
    CHECK(stream_api("/v1/messages") == StreamApi::messages);
    for (const auto* other : {"/v1/messages/count_tokens", "/completion", "/v1", "",
                              "/v1/embeddings", "/v1/v1/messages", "/infill"}) {
        CAPTURE(other);
        CHECK(stream_api(other) == StreamApi::other);
    }
}

TEST_CASE("every chunk of a chat has what a chunk has, and no role that a library would add up") {
    // Guards: llama-swap's chunks lack id, object, created and model, which breaks strict clients.
    auto stream = stream_of(StreamApi::chat, "a \"model\"\n\xe2\x80\xae");
    std::string text = told_twice(stream);
    text += stream.ready(Duration(1'250));
    const auto events = events_of(text);
    REQUIRE(events.size() == 3);
    for (const Event& event : events) {
        CHECK(event.name.empty());
        CHECK(event.data.at("id") == "chatcmpl-7");
        CHECK(event.data.at("object") == "chat.completion.chunk");
        CHECK(event.data.at("created") == 1'700'000'000);
        CHECK(event.data.at("model") == "a \"model\"\n\xe2\x80\xae");
        const Json& choice = event.data.at("choices").at(0);
        CHECK(choice.at("index") == 0);
        CHECK(choice.at("finish_reason").is_null());
        CHECK(choice.at("delta").size() == 1);
    }
    CHECK(reasoning_of(text) == "Loading model a \"model\" \xef\xbf\xbd.\nReady after 1.2 s\n\n");
}

TEST_CASE("a chat is told when something changes, and the time now and then") {
    // Guards: what reads well as one text that grows.
    auto stream = stream_of(StreamApi::chat);
    std::string text = stream.progress({Phase::queued, 2, Duration(0)});
    text += stream.progress({Phase::queued, 2, Duration(1'000)});
    text += stream.progress({Phase::queued, 0, Duration(2'000)});
    for (int second = 8; second < 12; ++second) {
        text += stream.progress(loading(second));
    }
    text += stream.progress({Phase::busy, 0, Duration(12'000)});
    CHECK(reasoning_of(text) ==
          "Waiting to load model m: queue position 3."
          "\nWaiting to load model m: its place is still in use"
          "\nLoading model m. 10 s."
          "\nWaiting for model m: it has as many requests as it takes");
}

TEST_CASE("a completion gets chunks without text, for its text is the answer") {
    // Guards: nothing of ours gets into what the model is said to have written.
    auto stream = stream_of(StreamApi::completions);
    std::vector<std::string> comments;
    const auto events = events_of(told_twice(stream), &comments);
    REQUIRE(events.size() == 2);
    for (const Event& event : events) {
        CHECK(event.name.empty());
        CHECK(event.data.at("id") == "cmpl-7");
        CHECK(event.data.at("object") == "text_completion");
        CHECK(event.data.at("created") == 1'700'000'000);
        CHECK(event.data.at("model") == "m");
        CHECK(event.data.at("choices").at(0).at("text") == "");
        CHECK(event.data.at("choices").at(0).at("finish_reason").is_null());
    }
    CHECK(comments == std::vector<std::string>{"Loading model m, 0 s", "Loading model m, 1 s"});
    CHECK(stream.ready(Duration(1'000)).empty());
}

TEST_CASE("a response is created first and stays in progress") {
    // Guards: libraries that collect a response take no other event before `response.created`.
    auto stream = stream_of(StreamApi::responses);
    const auto events = events_of(told_twice(stream));
    REQUIRE(events.size() == 3);
    int sequence = 0;
    for (const Event& event : events) {
        CHECK(event.name == (sequence == 0 ? "response.created" : "response.in_progress"));
        CHECK(event.data.at("type") == event.name);
        CHECK(event.data.at("sequence_number") == sequence++);
        const Json& response = event.data.at("response");
        CHECK(response.at("id") == "resp_7");
        CHECK(response.at("object") == "response");
        CHECK(response.at("created_at") == 1'700'000'000);
        CHECK(response.at("model") == "m");
        CHECK(response.at("status") == "in_progress");
        CHECK(response.at("output") == Json::array());
    }
    CHECK(stream.ready(Duration(1'000)).empty());
}

TEST_CASE("messages get pings, which may come before everything else") {
    // Guards: a second `message_start` would be refused, so that ours may not be one.
    auto stream = stream_of(StreamApi::messages);
    const auto events = events_of(told_twice(stream));
    REQUIRE(events.size() == 2);
    for (const Event& event : events) {
        CHECK(event.name == "ping");
        CHECK(event.data == Json{{"type", "ping"}});
    }
}

TEST_CASE("a comment is one line whatever the model is called") {
    // Guards: a name cannot end the comment and begin an event.
    for (const auto api : {StreamApi::chat, StreamApi::messages, StreamApi::other}) {
        auto stream = stream_of(api, "m\n\ndata: {}\r\n\r\n\xc2\x85" + std::string(5'000, 'x'));
        std::vector<std::string> comments;
        CHECK(events_of(stream.keep_alive(Duration(12'345)), &comments).empty());
        REQUIRE(comments.size() == 1);
        CHECK(comments[0].starts_with("loading m  data: {}"));
        CHECK(comments[0].ends_with(", 12 s"));
        CHECK(comments[0].size() < 300);
    }
}

TEST_CASE("a failure is the error event of its API, with the words of every other answer") {
    // Guards: what a client that does not stream would read in the body of a 502.
    const auto usual = Json::parse(render_error(start_failure).body);
    for (const auto api : {StreamApi::chat, StreamApi::completions, StreamApi::other}) {
        auto stream = stream_of(api);
        const auto events = events_of(stream.failure(start_failure, false));
        REQUIRE(events.size() == 1);
        CHECK(events[0].name == "error");
        CHECK(events[0].data == usual);
    }
    auto responses = stream_of(StreamApi::responses);
    CHECK(events_of(responses.progress(loading(0))).size() == 2);
    const auto failed = events_of(responses.failure(start_failure, false));
    REQUIRE(failed.size() == 2);
    CHECK(failed[0].name == "error");
    CHECK(failed[0].data.at("type") == "error");
    CHECK(failed[0].data.at("sequence_number") == 2);
    CHECK(failed[0].data.at("code") == "bad_gateway");
    CHECK(failed[0].data.at("message") == usual.at("error").at("message"));
    CHECK(failed[0].data.at("error") == usual.at("error"));
    CHECK(failed[1].name == "response.failed");
    CHECK(failed[1].data.at("response").at("status") == "failed");
    CHECK(failed[1].data.at("response").at("error").at("message") ==
          usual.at("error").at("message"));
    auto messages = stream_of(StreamApi::messages);
    const auto error = events_of(messages.failure(start_failure, false));
    REQUIRE(error.size() == 1);
    CHECK(error[0].name == "error");
    CHECK(error[0].data ==
          Json{{"type", "error"},
               {"error", {{"type", "api_error"}, {"message", usual.at("error").at("message")}}}});
}

TEST_CASE("a failure in the middle of an answer is an event of its own") {
    // Guards: the model may have died inside of an event, which must not swallow ours.
    auto stream = stream_of(StreamApi::chat);
    CHECK(stream.failure(start_failure, true) == "\n\n" + stream.failure(start_failure, false));
}

TEST_CASE("an answer that cannot join the stream is an error in its server's words") {
    // Guards: the reason and the status that llama-swap loses.
    const auto words = [](unsigned status, std::string_view body) {
        const Error error = unfit_answer(status, "application/json", body);
        CHECK(status_of(error) == static_cast<int>(status));
        CHECK(error.blame == Blame::upstream);
        return error.detail;
    };
    CHECK(words(400, R"({"error":{"code":400,"message":"too long","type":"x"}})") == "too long");
    CHECK(words(500, R"({"error":"broken"})") == "broken");
    CHECK(words(422, R"({"detail":"no such field"})") == "no such field");
    CHECK(words(503, "out of\x1b[31m order") == "out of order");
    CHECK(words(500, "") == "the model's server answered 500");
    CHECK(words(500, R"({"error":{"message":7}})") == R"({"error":{"message":7}})");

    const Error fine = unfit_answer(200, "application/json", R"({"error":{"message":"no"}})");
    CHECK(status_of(fine) == 502);
    CHECK(fine.detail.find("200 application/json") != std::string::npos);
}
