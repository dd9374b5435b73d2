#include "proxy/api/cors.hpp"

#include "core/web_names.hpp"
#include "proxy/http/error_body.hpp"
#include "proxy/http/fields.hpp"
#include "proxy/http/http_chars.hpp"

#include <algorithm>

namespace corral::api {
namespace {

constexpr std::string_view usual_fields = "Content-Type, Authorization, Accept, X-Requested-With";
constexpr std::size_t origin_shown_max = 200;

bool lists_any(std::span<const std::string> allowed) noexcept {
    return std::any_of(allowed.begin(), allowed.end(),
                       [](const std::string& pattern) { return pattern == "*"; });
}

/// GET, but it does something, or nobody here knows what it does.
bool acts(RouteKind kind) noexcept {
    return kind == RouteKind::unload_all || kind == RouteKind::inference_query ||
           kind == RouteKind::metrics || kind == RouteKind::upstream ||
           kind == RouteKind::comfyui || kind == RouteKind::comfyui_bare;
}

bool is_page(RouteKind kind) noexcept {
    return kind == RouteKind::upstream || kind == RouteKind::comfyui ||
           kind == RouteKind::comfyui_bare;
}

bool only_reads(const http::RequestHead& head, const RouteMatch& match) noexcept {
    const bool reads = head.method == "GET" || head.method == "HEAD";
    return reads && head.upgrade.empty() && (match.route == nullptr || !acts(match.route->kind));
}

/// Somebody follows a link: the page that has it learns nothing.
bool opens_page(const http::RequestHead& head, const RouteMatch& match) noexcept {
    return head.method == "GET" && match.route != nullptr && is_page(match.route->kind) &&
           head.fields.find("sec-fetch-mode").value_or("") == "navigate" &&
           head.fields.find("sec-fetch-dest").value_or("") == "document";
}

std::string requested_fields(const http::Fields& fields) {
    std::string out;
    for (const http::Field field : fields) {
        if (!http::equals_no_case(field.name, "access-control-request-headers")) {
            continue;
        }
        std::string_view list = field.value;
        while (const auto name = http::next_element(list)) {
            if (http::chars::is_token(*name) && *name != "*") {
                out.append(out.empty() ? "" : ", ").append(*name);
            }
        }
    }
    return out.empty() ? std::string(usual_fields) : out;
}

}  // namespace

bool is_local_origin(std::string_view origin) noexcept {
    OriginParts parts;
    if (!split_origin(origin, parts) || (!equals_ignoring_case(parts.scheme, "http") &&
                                         !equals_ignoring_case(parts.scheme, "https"))) {
        return false;
    }
    return equals_ignoring_case(parts.host, "localhost") || parts.host == "127.0.0.1" ||
           parts.host == "[::1]";
}

PageVerdict judge_page(const http::RequestHead& head, std::string_view forwarded_host,
                       std::span<const std::string> allowed_origins) noexcept {
    PageVerdict out;
    const auto origin = head.fields.find("origin");
    if (!origin) {
        const auto site = head.fields.find("sec-fetch-site").value_or("");
        out.foreign = http::equals_no_case(site, "cross-site") && !lists_any(allowed_origins);
        return out;
    }
    out.has_origin = true;
    OriginParts parts;
    const bool at_home = split_origin(*origin, parts) &&
                         (is_local_origin(*origin) || is_same_authority(parts, head.host) ||
                          is_same_authority(parts, forwarded_host));
    const auto is_meant = [&](const std::string& pattern) {
        return matches_origin(pattern, *origin);
    };
    const bool allowed =
        at_home || std::any_of(allowed_origins.begin(), allowed_origins.end(), is_meant);
    out.foreign = !allowed || head.fields.count("origin") > 1 || origin->empty();
    out.origin = out.foreign ? std::string_view() : *origin;
    return out;
}

std::optional<Error> refuse_page(const PageVerdict& page, const http::RequestHead& head,
                                 const RouteMatch& match) {
    if (!page.foreign || only_reads(head, match)) {
        return std::nullopt;
    }
    if (!page.has_origin) {
        if (head.method == "OPTIONS" || opens_page(head, match)) {
            return std::nullopt;
        }
        return Error(Errc::forbidden, Blame::client,
                     "a page of another site makes this request (Sec-Fetch-Site: cross-site): it "
                     "has to send its Origin, and that has to stand in allowedOrigins in the "
                     "config");
    }
    const auto origin = http::safe_text(head.fields.find("origin").value_or(""), origin_shown_max);
    return Error(Errc::forbidden, Blame::client,
                 "pages of " + origin +
                     " may not use this server: to let them, put their origin into the config, "
                     "allowedOrigins: [\"" +
                     origin + "\"]");
}

http::Answer preflight(const http::RequestHead& head) {
    http::Answer answer;
    answer.status = 204;
    const auto add = [&](const char* name, std::string value) {
        answer.fields.emplace_back(name, std::move(value));
    };
    if (head.fields.count("origin") == 0) {
        add("Access-Control-Allow-Origin", "*");
    }
    add("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS");
    add("Access-Control-Allow-Headers", requested_fields(head.fields));
    if (head.fields.find("access-control-request-private-network").value_or("") == "true") {
        add("Access-Control-Allow-Private-Network", "true");
    }
    add("Access-Control-Max-Age", "86400");
    return answer;
}

}  // namespace corral::api
