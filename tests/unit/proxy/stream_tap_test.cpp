// What answers say about tokens and times is read while they pass, as the servers write them.
#include "proxy/http/stream_tap.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace corral::http;

namespace {

constexpr std::string_view event_stream = "text/event-stream";

Usage tapped(std::string_view type, std::string_view body, std::size_t piece = 1 << 20) {
    StreamTap tap(type, "");
    for (std::size_t at = 0; at < body.size(); at += piece) {
        tap.feed(body.substr(at, piece));
    }
    return tap.finish();
}

/// As tapped, and the same however the body is cut in two, or into bytes.
Usage tapped_anyhow(std::string_view type, std::string_view body) {
    const auto whole = tapped(type, body);
    CHECK(tapped(type, body, 1) == whole);
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        StreamTap tap(type, "");
        tap.feed(body.substr(0, cut));
        tap.feed(body.substr(cut));
        CAPTURE(cut);
        CHECK(tap.finish() == whole);
    }
    return whole;
}

Usage counted(std::uint64_t input, std::uint64_t output) {
    Usage out;
    out.input_tokens = input;
    out.output_tokens = output;
    return out;
}

const std::string content_chunk =
    R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi {"}}],)"
    R"("created":1735141202,"id":"chatcmpl-1","object":"chat.completion.chunk"})"
    "\n\n";

}  // namespace

static_assert(std::is_nothrow_move_constructible_v<StreamTap>);
static_assert(sizeof(StreamTap) <= 512, "it lives in the frame of each relay");

TEST_CASE("the log's line says what an answer said and nothing else") {
    // Guards: a number that is not known is not shown as 0.
    CHECK(log_fields(Usage{}).empty());
    Usage usage;
    usage.input_tokens = 12;
    usage.output_tokens = 0;
    usage.tokens_per_second = 56.75;
    CHECK(log_fields(usage) == " tokens_in=12 tokens_out=0 tokens_per_second=56.8");
}

TEST_CASE("an OpenAI stream with include_usage") {
    // Guards: the null that such a stream has in each chunk clears nothing, before or
    // after.
    const std::string null = R"(data: {"choices":[],"usage":null})"
                             "\n\n";
    const auto got = tapped_anyhow(
        event_stream, content_chunk + null +
                          R"(data: {"id":"c","choices":[],"usage":{"prompt_tokens":19,)"
                          R"("completion_tokens":10,"total_tokens":29,)"
                          R"("prompt_tokens_details":{"cached_tokens":16,"audio_tokens":0},)"
                          R"("completion_tokens_details":{"reasoning_tokens":0}}})"
                          "\n\n" +
                          null + "data: [DONE]\n\n");
    auto want = counted(19, 10);
    want.cached_tokens = 16;
    CHECK(got == want);
}

TEST_CASE("llama-server's last chunk has usage and timings, and the timings count") {
    // Guards: what llama.cpp measured wins over what OpenAI's shape can say.
    const std::string usage =
        R"(data: {"choices":[],"usage":{"completion_tokens":35,"prompt_tokens":44,)"
        R"("total_tokens":79},"timings":{"cache_n":43,"prompt_n":1,"prompt_ms":30.958,)"
        R"("prompt_per_token_ms":30.958,"prompt_per_second":32.3018,"predicted_n":34,)"
        R"("predicted_ms":661.064,"predicted_per_token_ms":18.887,"predicted_per_second":52.94)";
    auto want = counted(1, 34);
    want.cached_tokens = 43;
    want.prompt_per_second = 32.3018;
    want.tokens_per_second = 52.94;
    want.prompt_ms = 30.958;
    want.predicted_ms = 661.064;
    CHECK(tapped_anyhow(event_stream, content_chunk + usage + "}}\n\ndata: [DONE]\n\n") == want);

    want.draft_tokens = 30;
    want.draft_accepted_tokens = 21;
    CHECK(tapped(event_stream, usage + R"(,"draft_n":30,"draft_n_accepted":21}})" + "\r\n") ==
          want);
    want.draft_tokens = want.draft_accepted_tokens = std::nullopt;
    CHECK(tapped(event_stream, usage + R"(,"draft_n":30}})" + "\n") == want);
}

TEST_CASE("of timings in each event the last count, as a whole") {
    // Guards: timings_per_token, and that no number of an earlier object stays behind.
    const auto got = tapped_anyhow(event_stream,
                                   "data: {\"timings\":{\"prompt_n\":7,\"cache_n\":3}}\n\n"
                                   "data: {\"timings\":{\"prompt_n\":8,\"predicted_n\":2}}\n\n"
                                   "data: {\"timings\":null}\n\n");
    CHECK(got == counted(8, 2));
}

TEST_CASE("an Anthropic stream tells its input first and its output last") {
    // Guards: the last positive number counts for each of the three, over several events.
    const auto got =
        tapped_anyhow(event_stream,
                      "event: message_start\n"
                      R"(data: {"type":"message_start","message":{"id":"msg_1","content":[],)"
                      R"("usage":{"input_tokens":25,"cache_creation_input_tokens":0,)"
                      R"("cache_read_input_tokens":11,"output_tokens":1}}})"
                      "\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n"
                      "event: message_delta\n"
                      R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},)"
                      R"("usage":{"input_tokens":0,"output_tokens":15}})"
                      "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    auto want = counted(25, 15);
    want.cached_tokens = 11;
    CHECK(got == want);
}

TEST_CASE("a stream of /v1/responses tells it in response.completed") {
    // Guards: response.usage, behind an answer of any length that is in the same object.
    const auto got = tapped_anyhow(
        event_stream,
        "event: response.created\n"
        R"(data: {"type":"response.created","response":{"id":"r","usage":null}})"
        "\n\nevent: response.completed\n"
        R"(data: {"type":"response.completed","response":{"id":"r","output":[{"content":)"
        R"([{"text":"say \"usage\":{\"input_tokens\":9}"}]}],"usage":{"input_tokens": 36,)"
        R"("input_tokens_details" : { "cached_tokens" : 4 }, "output_tokens":87}}})"
        "\n\n");
    auto want = counted(36, 87);
    want.cached_tokens = 4;
    CHECK(got == want);
}

TEST_CASE("plain JSON: chat, embeddings, rerank, /completion and /infill") {
    // Guards: an answer that is not streamed says the same, and zero is a number.
    CHECK(tapped_anyhow("application/json; charset=utf-8",
                        "{\n  \"choices\": [{\"message\": {\"content\": \"{\\\"\"}}],\n"
                        "  \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 7}\n}\n") ==
          counted(5, 7));
    CHECK(tapped_anyhow("application/json",
                        R"({"data":[{"embedding":[0.1,-2e-5],"index":0}],"usage":)"
                        R"({"prompt_tokens":8,"completion_tokens":0,"total_tokens":8}})") ==
          counted(8, 0));
    Usage input_only;
    input_only.input_tokens = 12;
    CHECK(tapped_anyhow("application/json",
                        R"({"object":"list","usage":{"prompt_tokens":12,"total_tokens":12},)"
                        R"("results":[{"index":0,"relevance_score":0.3}]})") == input_only);
    CHECK(tapped_anyhow("application/json",
                        R"({"content":"x","timings":{"prompt_n":3,"predicted_n":4}})") ==
          counted(3, 4));
    CHECK(tapped_anyhow("application/json",
                        R"([{"timings":{"prompt_n":1,"cache_n":9}},)"
                        R"({"timings":{"prompt_n":3,"predicted_n":4}}])") == counted(3, 4));
    CHECK(tapped_anyhow("application/json", R"([{"timings":{"prompt_n":1}},{"content":""}])") ==
          Usage());
    CHECK(tapped_anyhow("application/json", R"([[],{},1,"a"])") == Usage());
}

TEST_CASE("vLLM's metrics give the rates") {
    // Guards: tokens that were computed per time to the first, and the time between tokens.
    const auto got = tapped_anyhow(
        "application/json",
        R"({"usage":{"prompt_tokens":110,"completion_tokens":20,)"
        R"("prompt_tokens_details":{"cached_tokens":10}},"metrics":{"queue_time_ms":1.5,)"
        R"("time_to_first_token_ms":50.0,"mean_itl_ms":8,"speculative_decoding":)"
        R"({"num_draft_tokens":40,"num_accepted_draft_tokens":30}}})");
    auto want = counted(110, 20);
    want.cached_tokens = 10;
    want.prompt_per_second = 2000.0;
    want.tokens_per_second = 125.0;
    want.draft_tokens = 40;
    want.draft_accepted_tokens = 30;
    CHECK(got == want);
    CHECK(tapped("application/json",
                 R"({"metrics":{"time_to_first_token_ms":5,"mean_itl_ms":0}})") == Usage());
}

TEST_CASE("only what stands where it belongs is read") {
    // Guards: no user's text, tool input or nested object passes for the answer's own usage.
    for (const auto* const data :
         {R"({"choices":[{"usage":{"prompt_tokens":1}}]})", R"({"x":{"usage":{"input_tokens":1}}})",
          R"({"content":"\"usage\":{\"input_tokens\":1}"})", R"(["usage",{"input_tokens":1}])",
          R"({"usage":[{"input_tokens":1}]})", R"({"usage":{"x":{"input_tokens":1}}})",
          R"({"usage":{"input_tokens":"1","output_tokens":true}})", R"("usage":{"input_tokens":1})",
          R"({"us\u0061ge":{"input_tokens":1}})", R"({"response":{"response":{"usage":{}}}})",
          R"({"usage":{"input_tokens":1}} x)", R"({"usage":{"input_tokens":1})", R"(usage)",
          R"({"usage" {"input_tokens":1}})", R"({"usage":{"input_tokens":1,}})", "[DONE]", "",
          R"({"usage":{"input_tokens":1]})", R"({"usage":,{"input_tokens":1}})"}) {
        CAPTURE(data);
        CHECK(tapped_anyhow(event_stream, "data: " + std::string(data) + "\n") == Usage());
        CHECK(tapped_anyhow("application/json", data) == Usage());
    }
    const std::string usage = R"({"usage":{"input_tokens":1}})";
    for (const auto* const prefix : {"", " data: ", "event: ", "data", "dat:", "xdata: ", ": "}) {
        CHECK(tapped_anyhow(event_stream, prefix + usage + "\n") == Usage());
    }
    for (const auto* const key : {"message", "response"}) {
        const auto wrapped = "{\"" + std::string(key) + "\":" + usage + "}";
        CHECK(tapped(event_stream, "data:" + wrapped).input_tokens == 1);
        CHECK(tapped("application/json", wrapped) == Usage());  // only events wrap theirs
    }
}

TEST_CASE("numbers that no answer has are not taken") {
    // Guards: negative, huge and endless numbers neither count nor overflow.
    for (const std::string number :
         {"-1", "-0.5", "1e400", "-1e400", "1e308", "9007199254740994", "18446744073709551616",
          "1.5.5", "+1", "--1", "nan", "inf", "0x10", "1e", "null"}) {
        CAPTURE(number);
        CHECK(tapped_anyhow("application/json", R"({"usage":{"prompt_tokens":)" + number + "}}") ==
              Usage());
    }
    const std::string digits(100'000, '1');
    CHECK(tapped("application/json", R"({"usage":{"prompt_tokens":)" + digits + "}}") == Usage());
    CHECK(tapped("application/json", R"({"metrics":{"mean_itl_ms":1e-307}})").tokens_per_second ==
          std::nullopt);
    const auto most = tapped("application/json", R"({"usage":{"prompt_tokens":9007199254740992,)"
                                                 R"("completion_tokens":3.0e1}})");
    CHECK(most == counted(9'007'199'254'740'992, 30));
}

TEST_CASE("hostile answers cost neither memory nor the answers behind them") {
    // Guards: depth, length and number of what is sent have no hold on the tap.
    const std::string usage = "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n";
    std::string many;
    for (int i = 0; i < 10'000; ++i) {
        many += "data: {\"usage\":{\"prompt_tokens\":" + std::to_string(i) + "}}\n";
    }
    CHECK(tapped(event_stream, many + usage, 1'000) == counted(3, 4));
    const std::string deep(1'000'000, '[');
    const std::string objects =
        "{\"usage\":{\"usage\":{\"usage\":{\"usage\":{\"usage\":{\"usage\":";
    for (const auto& text :
         {deep, "{\"usage\":" + deep, objects, "{\"usage\":{\"a\":\"" + deep, "{\"" + deep,
          std::string(100'000, '}'), std::string("{\"usage\":{\"\x80\xff\":"),
          std::string(100'000, '\\'), std::string(100'000, '\0')}) {
        CHECK(tapped(event_stream, "data: " + text + "\n" + usage, 4'096) == counted(3, 4));
        CHECK(tapped(event_stream, usage + "data: " + text, 7) == counted(3, 4));
    }
}

TEST_CASE("what cannot be read is left alone") {
    // Guards: compressed answers, sound and pictures, and a tap that is off.
    const std::string body = R"({"usage":{"prompt_tokens":3}})";
    for (const auto* const coding : {"gzip", "br", "deflate", "x"}) {
        StreamTap tap("application/json", coding);
        tap.feed(body);
        CHECK(tap.finish() == Usage());
    }
    StreamTap plain("application/json", "Identity");
    plain.feed(body);
    CHECK(plain.finish().input_tokens == 3);
    StreamTap off;
    off.feed(body);
    CHECK(off.finish() == Usage());
    CHECK(tapped("audio/wav", "RIFF\x24" + body) == Usage());
    CHECK(tapped("", body).input_tokens == 3);
    CHECK(tapped(" Text/Event-Stream ; charset=utf-8", "data:" + body).input_tokens == 3);
}
