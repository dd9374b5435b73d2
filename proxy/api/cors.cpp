#include "proxy/api/cors.hpp"

#include "proxy/http/fields.hpp"
#include "proxy/http/http_chars.hpp"

#include <optional>

namespace corral::api {
namespace {

constexpr std::string_view usual_fields = "Content-Type, Authorization, Accept, X-Requested-With";

bool take(std::string_view& text, std::string_view prefix) noexcept {
    const bool found = http::equals_no_case(text.substr(0, prefix.size()), prefix);
    text.remove_prefix(found ? prefix.size() : 0);
    return found;
}

std::optional<std::string_view> local_origin(const http::RequestHead& head) noexcept {
    const auto origin = head.fields.find("origin");
    return origin && is_local_origin(*origin) ? origin : std::nullopt;
}

std::string requested_fields(const http::Fields& fields) {
    std::string out;
    std::string_view list = fields.find("access-control-request-headers").value_or("");
    while (const auto name = http::next_element(list)) {
        if (http::chars::is_token(*name)) {
            out.append(out.empty() ? "" : ", ").append(*name);
        }
    }
    return out.empty() ? std::string(usual_fields) : out;
}

}  // namespace

bool is_local_origin(std::string_view origin) noexcept {
    if (!take(origin, "http://") && !take(origin, "https://")) {
        return false;
    }
    if (!take(origin, "localhost") && !take(origin, "127.0.0.1") && !take(origin, "[::1]")) {
        return false;
    }
    return origin.empty() || (take(origin, ":") && !origin.empty() &&
                              http::chars::all_of(origin, http::chars::digit));
}

void allow_reading(const http::RequestHead& head, http::Answer& answer) {
    if (const auto origin = local_origin(head)) {
        answer.fields.emplace_back("Access-Control-Allow-Origin", std::string(*origin));
        answer.fields.emplace_back("Vary", "Origin");
    }
}

http::Answer preflight(const http::RequestHead& head) {
    http::Answer answer;
    answer.status = 204;
    allow_reading(head, answer);
    if (!answer.fields.empty()) {
        answer.fields.emplace_back("Access-Control-Allow-Methods",
                                   "GET, POST, PUT, PATCH, DELETE, OPTIONS");
        answer.fields.emplace_back("Access-Control-Allow-Headers", requested_fields(head.fields));
        answer.fields.emplace_back("Access-Control-Max-Age", "86400");
    }
    return answer;
}

}  // namespace corral::api
