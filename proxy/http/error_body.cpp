#include "proxy/http/error_body.hpp"

#include "core/failure.hpp"
#include "proxy/http/failure_json.hpp"
#include "proxy/http/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace corral::http {
namespace {

using Strings = std::pair<std::string_view, std::string_view>;

constexpr std::array<std::pair<int, std::string_view>, 42> phrases{{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
}};

class StatusCategory final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "corral.http"; }
    std::string message(int value) const override { return std::string(reason_phrase(value)); }
};

const boost::system::error_category& status_category() noexcept {
    static const StatusCategory category;
    return category;
}

/// llama-swap's table (contract §1.0).
Strings type_and_code(int status) noexcept {
    switch (status) {
        case 400:
            return {"invalid_request_error", "bad_request"};
        case 401:
            return {"authentication_error", "unauthorized"};
        case 403:
            return {"authentication_error", "forbidden"};
        case 404:
            return {"invalid_request_error", "not_found"};
        case 409:
            return {"invalid_request_error", "conflict"};
        case 429:
            return {"rate_limit_error", "rate_limit_exceeded"};
        case 502:
            return {"server_error", "bad_gateway"};
        case 503:
            return {"server_error", "service_unavailable"};
        case 504:
            return {"server_error", "gateway_timeout"};
        default:
            return status < 500 ? Strings{"invalid_request_error", "invalid_request"}
                                : Strings{"server_error", "internal_error"};
    }
}

std::string json_body(const Error& error, int status, std::string_view message) {
    auto [type, code] = type_and_code(status);
    nlohmann::ordered_json param = nullptr;
    if (error.is(Errc::model_not_found)) {  // what OpenAI's own clients look for
        param = "model";
        code = "model_not_found";
    } else if (error.is(Errc::concurrency_limit)) {
        code = "concurrency_limit";
    } else if (error.is(Errc::cooling_down)) {
        code = "model_cooling_down";
    }
    nlohmann::ordered_json body{
        {"src", "corral"},
        {"error",
         {{"message", message}, {"type", type}, {"param", std::move(param)}, {"code", code}}}};
    if (error.failure) {
        body["error"]["failure"] = failure_json(*error.failure);
    }
    return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string escape_html(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string message_of(const Error& error, int status) {
    if (error.is(Errc::concurrency_limit)) {
        return "Too many requests";
    }
    if (!error.detail.empty()) {
        return safe_text(error.detail);
    }
    return std::string(reason_phrase(status));
}

std::string retry_after(const Error& error) {
    if (error.failure && error.failure->retry_after > std::chrono::seconds::zero()) {
        return std::to_string(error.failure->retry_after.count());
    }
    return error.is(Errc::shutting_down) ? "5" : "1";
}

void add_fields(const Error& error, std::string_view allow, ErrorAnswer& out) {
    const auto add = [&](const char* name, std::string_view value) {
        out.fields.emplace_back(name, std::string(value));
    };
    if (out.status == 405 && !allow.empty()) {
        add("Allow", allow);
    } else if (out.status == 401) {
        add("WWW-Authenticate", "Basic realm=\"corral\"");
    } else if (out.status == 429) {
        add("Retry-After", "1");
    } else if (out.status == 503) {
        add("Retry-After", retry_after(error));
    }
    add("X-Content-Type-Options", "nosniff");
}

/// Characters that change how the text around them is shown: bidirectional controls, line
/// separators, invisible joiners at the byte-order mark.
bool is_deceptive(std::uint32_t code) noexcept {
    return (code >= 0x80 && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x2069) ||
           code == 0xfeff || code == 0x61c;
}

/// The size of a terminal escape sequence at the start of the text (ESC [ … final byte), or of ESC.
std::size_t escape_size(std::string_view text) noexcept {
    if (text.size() < 2 || text[1] != '[') {
        return 1;
    }
    std::size_t end = 2;
    while (end < text.size() && text[end] >= 0x20 && text[end] < 0x40) {
        ++end;
    }
    return end < text.size() && text[end] >= 0x40 && text[end] < 0x7f ? end + 1 : end;
}

}  // namespace

Error refuse(HttpStatus status, std::string detail) {
    return {boost::system::error_code(static_cast<int>(status), status_category()), Blame::client,
            std::move(detail)};
}

std::string_view reason_phrase(int status) noexcept {
    for (const auto& [code, phrase] : phrases) {
        if (code == status) {
            return phrase;
        }
    }
    return {};
}

int status_of(const Error& error) noexcept {
    if (error.code.category() == status_category()) {
        return error.code.value();
    }
    if (error.code.category() != corral_category()) {  // a system's error that nobody translated
        return error.blame == Blame::upstream ? 502 : error.blame == Blame::client ? 400 : 500;
    }
    switch (static_cast<Errc>(error.code.value())) {
        case Errc::bad_request:
        case Errc::malformed_json:
            return 400;
        case Errc::unauthorized:
            return 401;
        case Errc::forbidden:
            return 403;
        case Errc::model_missing:
        case Errc::model_not_found:
        case Errc::not_found:
            return 404;
        case Errc::method_not_allowed:
            return 405;
        case Errc::body_too_large:
            return 413;
        case Errc::misdirected:
            return 421;
        case Errc::invalid_config:
            return 422;
        case Errc::conflict:
            return 409;
        case Errc::concurrency_limit:
            return 429;
        case Errc::head_too_large:
            return 431;
        case Errc::cancelled:
            return 499;
        case Errc::unsupported:
            return 501;
        case Errc::start_failed:
        case Errc::start_timeout:
        case Errc::upstream_unreachable:
        case Errc::upstream_closed:
        case Errc::upstream_malformed:
            return 502;
        case Errc::overloaded:
        case Errc::shutting_down:
        case Errc::unloaded:
        case Errc::cooling_down:
            return 503;
        case Errc::timed_out:
            return error.blame == Blame::client ? 408 : 504;
        case Errc::io:
        case Errc::corrupt:
        case Errc::short_input:
        case Errc::internal:
            break;
    }
    return 500;
}

ErrorAnswer render_error(const Error& error, std::string_view accept, std::string_view allow) {
    ErrorAnswer out;
    out.status = status_of(error);
    const auto message = message_of(error, out.status);
    const auto accepts = [&](std::string_view type) {
        return accept.find(type) != std::string_view::npos &&
               !error.is(Errc::concurrency_limit);  // the peer ignores Accept here
    };
    if (accepts("text/plain")) {
        out.content_type = "text/plain; charset=utf-8";
        out.body = "corral: " + message;
    } else if (accepts("text/html")) {
        out.content_type = "text/html; charset=utf-8";
        out.body = "<html><body><h1>corral</h1><p>" + escape_html(message) + "</p></body></html>";
    } else {
        out.content_type = "application/json";
        out.body = json_body(error, out.status, message);
    }
    add_fields(error, allow, out);
    return out;
}

std::string safe_text(std::string_view text, std::size_t bytes_max) {
    constexpr std::string_view replacement = "\xef\xbf\xbd";
    constexpr std::string_view ellipsis = "\xe2\x80\xa6";
    std::string out;
    out.reserve(std::min(text.size(), bytes_max));
    while (!text.empty()) {
        const auto c = static_cast<unsigned char>(text.front());
        if (c == 0x1b) {  // colours of a model's log are dropped, not shown as rubbish
            text.remove_prefix(escape_size(text));
            continue;
        }
        const auto [code, size] = utf8::decode(text);
        const auto bytes = text.substr(0, size);
        text.remove_prefix(size);
        if (c == '\r' && (text.empty() || text.front() == '\n')) {
            continue;
        }
        const bool control = c < 0x20 && c != '\n' && c != '\t';
        const bool unsafe = code == utf8::invalid || control || c == 0x7f || is_deceptive(code);
        const auto piece = unsafe ? replacement : bytes;
        if (out.size() + piece.size() + ellipsis.size() > bytes_max) {
            out += ellipsis;
            break;
        }
        out += piece;
    }
    return out;
}

}  // namespace corral::http
