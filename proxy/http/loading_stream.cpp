#include "proxy/http/loading_stream.hpp"

#include "proxy/http/error_body.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace corral::http {
namespace {

using Json = nlohmann::ordered_json;
using Phase = LoadingPoint::Phase;

constexpr std::size_t shown_name_bytes_max = 256;
constexpr std::size_t shown_body_bytes_max = 2 * 1024;
/// Every so many seconds the time itself is told in place of a dot.
constexpr std::int64_t seconds_between_times = 10;

std::string text_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// An event of the kinds that have no name: chunks.
std::string unnamed(const Json& data) {
    return "data: " + text_of(data) + "\n\n";
}

std::string named(std::string_view name, const Json& data) {
    return "event: " + std::string(name) + "\n" + unnamed(data);
}

std::string comment(const std::string& words) {
    return ": " + words + "\n\n";
}

std::int64_t whole_seconds(Duration waited) {
    return std::chrono::duration_cast<std::chrono::seconds>(waited).count();
}

std::string tenths(Duration waited) {
    const auto tenth = waited.count() / 100;
    return std::to_string(tenth / 10) + "." + std::to_string(tenth % 10) + " s";
}

/// One line, whatever the name is.
std::string line_of(std::string_view name) {
    std::string out = safe_text(name, shown_name_bytes_max);
    std::replace(out.begin(), out.end(), '\n', ' ');
    return out;
}

std::string sentence(const LoadingPoint& point, const std::string& name) {
    switch (point.phase) {
        case Phase::loading:
            return "Loading model " + name;
        case Phase::busy:
            return "Waiting for model " + name + ": it has as many requests as it takes";
        case Phase::queued:
            break;
    }
    const std::string waiting = "Waiting to load model " + name + ": ";
    if (point.ahead == 0) {
        return waiting + "its place is still in use";
    }
    return waiting + "queue position " + std::to_string(point.ahead + 1);
}

/// What Anthropic calls an error of this status.
std::string_view anthropic_type(int status) {
    constexpr std::array<std::pair<int, std::string_view>, 9> types{{
        {400, "invalid_request_error"},
        {401, "authentication_error"},
        {403, "permission_error"},
        {404, "not_found_error"},
        {413, "request_too_large"},
        {429, "rate_limit_error"},
        {503, "overloaded_error"},
        {504, "timeout_error"},
        {529, "overloaded_error"},
    }};
    for (const auto& [code, type] : types) {
        if (code == status) {
            return type;
        }
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

std::string_view id_prefix(StreamApi api) {
    switch (api) {
        case StreamApi::chat:
            return "chatcmpl-";
        case StreamApi::completions:
            return "cmpl-";
        case StreamApi::responses:
            return "resp_";
        default:
            return "";
    }
}

/// The words of an error document, wherever its server puts them.
std::string message_in(std::string_view body) {
    const Json json = Json::parse(body, nullptr, false);
    if (!json.is_object()) {
        return {};
    }
    const auto text_at = [](const Json& object, const char* key) {
        const auto found = object.find(key);
        return found != object.end() && found->is_string() ? found->get<std::string>()
                                                           : std::string();
    };
    if (const auto error = json.find("error"); error != json.end() && error->is_object()) {
        return text_at(*error, "message");
    }
    for (const char* key : {"error", "message", "detail"}) {
        if (auto text = text_at(json, key); !text.empty()) {
            return text;
        }
    }
    return {};
}

}  // namespace

StreamApi stream_api(std::string_view target) noexcept {
    target = target.substr(0, target.find('?'));
    constexpr std::string_view version = "/v1";
    if (target.starts_with(version)) {
        target.remove_prefix(version.size());
    }
    constexpr std::array<std::pair<std::string_view, StreamApi>, 4> paths{{
        {"/chat/completions", StreamApi::chat},
        {"/completions", StreamApi::completions},
        {"/responses", StreamApi::responses},
        {"/messages", StreamApi::messages},
    }};
    for (const auto& [path, api] : paths) {
        if (path == target) {
            return api;
        }
    }
    return StreamApi::other;
}

LoadingStream::LoadingStream(StreamApi api, std::string_view unique, std::int64_t created,
                             std::string model)
    : api_(api),
      id_(std::string(id_prefix(api)) + std::string(unique)),
      created_(created),
      model_(std::move(model)),
      shown_name_(line_of(model_)) {}

std::string LoadingStream::progress(const LoadingPoint& point) {
    std::string out = event(point);
    if (api_ != StreamApi::chat) {  // the others have no place for words of ours
        out = comment(sentence(point, shown_name_) + ", " +
                      std::to_string(whole_seconds(point.waited)) + " s") +
              out;
    }
    before_ = point;
    return out;
}

std::string LoadingStream::event(const LoadingPoint& point) {
    switch (api_) {
        case StreamApi::chat:
            break;
        case StreamApi::completions:
            return completions_chunk();
        case StreamApi::responses: {
            // A library that collects the response insists on `created` first.
            std::string out = before_ ? "" : response_event("response.created", "in_progress");
            return out + response_event("response.in_progress", "in_progress");
        }
        case StreamApi::messages:
            return named("ping", {{"type", "ping"}});
        case StreamApi::other:
            return {};
    }
    if (!before_ || before_->phase != point.phase || before_->ahead != point.ahead) {
        return chat_chunk((before_ ? "\n" : "") + sentence(point, shown_name_));
    }
    const auto seconds = whole_seconds(point.waited);
    return chat_chunk(seconds % seconds_between_times == 0 ? " " + std::to_string(seconds) + " s"
                                                           : ".");
}

std::string LoadingStream::ready(Duration waited) {
    if (api_ != StreamApi::chat || !before_) {
        return {};
    }
    return chat_chunk("\nReady after " + tenths(waited) + "\n\n");
}

std::string LoadingStream::keep_alive(Duration waited) const {
    return comment("loading " + shown_name_ + ", " + std::to_string(whole_seconds(waited)) + " s");
}

/// Without a role: libraries that collect a message would join this one with that of the answer.
std::string LoadingStream::chat_chunk(std::string_view reasoning) const {
    Json choice{{"index", 0}, {"delta", {{"reasoning_content", reasoning}}}};
    choice["finish_reason"] = nullptr;
    return unnamed({{"id", id_},
                    {"object", "chat.completion.chunk"},
                    {"created", created_},
                    {"model", model_},
                    {"choices", Json::array({std::move(choice)})}});
}

/// Without text, for all text is part of the completion.
std::string LoadingStream::completions_chunk() const {
    Json choice{{"index", 0}, {"text", ""}};
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = nullptr;
    return unnamed({{"id", id_},
                    {"object", "text_completion"},
                    {"created", created_},
                    {"model", model_},
                    {"choices", Json::array({std::move(choice)})}});
}

std::string LoadingStream::response_event(std::string_view type, std::string_view status,
                                          std::string_view failure) {
    Json response{{"id", id_},
                  {"object", "response"},
                  {"created_at", created_},
                  {"status", status},
                  {"error", nullptr},
                  {"incomplete_details", nullptr},
                  {"model", model_},
                  {"instructions", nullptr},
                  {"metadata", Json::object()},
                  {"output", Json::array()},
                  {"tools", Json::array()}};
    if (!failure.empty()) {
        response["error"] = {{"code", "server_error"}, {"message", failure}};
    }
    response["parallel_tool_calls"] = true;
    response["tool_choice"] = "auto";
    response["temperature"] = nullptr;
    response["top_p"] = nullptr;
    response["usage"] = nullptr;
    Json event{{"type", type}, {"sequence_number", sequence_++}};
    event["response"] = std::move(response);
    return named(type, event);
}

std::string LoadingStream::failure(const Error& error, bool in_answer) {
    const auto rendered = render_error(error);
    Json body = Json::parse(rendered.body);
    const std::string begin = in_answer ? "\n\n" : "";
    if (api_ == StreamApi::messages) {
        return begin + named("error", {{"type", "error"},
                                       {"error",
                                        {{"type", anthropic_type(rendered.status)},
                                         {"message", body["error"]["message"]}}}});
    }
    if (api_ != StreamApi::responses) {
        return begin + named("error", body);
    }
    Json told{{"type", "error"}, {"sequence_number", sequence_++}};
    told["code"] = body["error"]["code"];
    told["message"] = body["error"]["message"];
    told["param"] = body["error"]["param"];
    told["error"] = body["error"];
    // OpenAI sends both, and there are libraries that look at one of them only.
    const auto message = body["error"]["message"].get<std::string>();
    const std::string first = begin + named("error", told);
    return first + response_event("response.failed", "failed", message);
}

Error unfit_answer(unsigned status, std::string_view content_type, std::string_view body) {
    constexpr unsigned first_error = 400;
    if (status < first_error) {
        const std::string type = content_type.empty() ? "without a type" : line_of(content_type);
        return {Errc::upstream_malformed, Blame::upstream,
                "the model's server answered " + std::to_string(status) + " " + type +
                    " where an event stream was asked for"};
    }
    std::string words = message_in(body);
    if (words.empty()) {
        words = safe_text(body, shown_body_bytes_max);
    }
    if (words.empty()) {
        words = "the model's server answered " + std::to_string(status);
    }
    Error error = refuse(static_cast<HttpStatus>(status), std::move(words));
    error.blame = Blame::upstream;
    return error;
}

}  // namespace corral::http
