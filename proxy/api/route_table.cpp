#include "proxy/api/route_table.hpp"

#include "proxy/http/target.hpp"

#include <array>
#include <optional>

namespace corral::api {
namespace {

using Kind = RouteKind;

// Exact patterns before wildcards. Versionless /v/… and /audioapi paths lose their prefix on the
// way upstream, as llama-swap's users know it.
constexpr std::array routes{
    Route{"POST", "/v1/chat/completions", Kind::inference_body, true, ""},
    Route{"POST", "/v1/completions", Kind::inference_body, true, ""},
    Route{"POST", "/v1/responses", Kind::inference_body, true, ""},
    Route{"POST", "/v1/messages", Kind::inference_body, true, ""},
    Route{"POST", "/v1/messages/count_tokens", Kind::inference_body, true, ""},
    Route{"POST", "/v1/embeddings", Kind::inference_body, true, ""},
    Route{"POST", "/v1/rerank", Kind::inference_body, true, ""},
    Route{"POST", "/v1/reranking", Kind::inference_body, true, ""},
    Route{"POST", "/rerank", Kind::inference_body, true, ""},
    Route{"POST", "/reranking", Kind::inference_body, true, ""},
    Route{"POST", "/infill", Kind::inference_body, true, ""},
    Route{"POST", "/completion", Kind::inference_body, true, ""},
    Route{"POST", "/embedding", Kind::inference_body, true, ""},
    Route{"POST", "/tokenize", Kind::inference_body, true, ""},
    Route{"POST", "/detokenize", Kind::inference_body, true, ""},
    Route{"POST", "/apply-template", Kind::inference_body, true, ""},
    Route{"POST", "/v1/audio/speech", Kind::inference_body, true, ""},
    Route{"POST", "/v1/audio/voices", Kind::inference_body, true, ""},
    Route{"POST", "/v1/audio/transcriptions", Kind::inference_body, true, ""},
    Route{"POST", "/v1/audio/translations", Kind::inference_body, true, ""},
    Route{"POST", "/v1/images/generations", Kind::inference_body, true, ""},
    Route{"POST", "/v1/images/edits", Kind::inference_body, true, ""},
    Route{"POST", "/sdapi/v1/txt2img", Kind::inference_body, true, ""},
    Route{"POST", "/sdapi/v1/img2img", Kind::inference_body, true, ""},
    Route{"POST", "/audioapi/v1/tasks/run", Kind::inference_body, true, "/v1/tasks/run"},
    Route{"POST", "/v/chat/completions", Kind::inference_body, true, "/chat/completions"},
    Route{"POST", "/v/completions", Kind::inference_body, true, "/completions"},
    Route{"POST", "/v/responses", Kind::inference_body, true, "/responses"},
    Route{"POST", "/v/messages", Kind::inference_body, true, "/messages"},
    Route{"POST", "/v/messages/count_tokens", Kind::inference_body, true, "/messages/count_tokens"},
    Route{"POST", "/v/embeddings", Kind::inference_body, true, "/embeddings"},
    Route{"POST", "/v/rerank", Kind::inference_body, true, "/rerank"},
    Route{"POST", "/v/reranking", Kind::inference_body, true, "/reranking"},
    Route{"GET", "/v1/audio/voices", Kind::inference_query, true, ""},
    Route{"GET", "/sdapi/v1/loras", Kind::inference_query, true, ""},
    Route{"GET", "/props", Kind::inference_query, true, "", true, false},
    Route{"GET", "/slots", Kind::inference_query, true, "", false, false},
    Route{"GET", "/metrics", Kind::metrics, true, "", false, false},
    Route{"GET", "/v1/models", Kind::models_list, true, ""},
    Route{"GET", "/models", Kind::models_list, true, ""},
    Route{"GET", "/v1/models/{id...}", Kind::model_info, true, ""},
    Route{"GET", "/health", Kind::health, false, ""},
    Route{"GET", "/wol-health", Kind::health, false, ""},
    Route{"GET", "/running", Kind::running, true, ""},
    Route{"GET", "/unload", Kind::unload_all, true, ""},
    Route{"POST", "/api/models/unload", Kind::api_unload_all, true, ""},
    Route{"POST", "/api/models/unload/{model...}", Kind::api_unload_one, true, ""},
    Route{"GET", "/api/models", Kind::model_states, true, ""},
    Route{"POST", "/api/models/reset", Kind::api_reset_all, true, ""},
    Route{"POST", "/api/models/reset/{model...}", Kind::api_reset_one, true, ""},
    Route{"POST", "/api/config/reload", Kind::reload, true, ""},
    Route{"POST", "/api/config/regenerate", Kind::regenerate, true, ""},
    Route{"POST", "/models/load", Kind::load, true, ""},
    Route{"GET", "/api/profiles", Kind::profiles, true, ""},
    Route{"PUT", "/api/profiles/active", Kind::profile_choice, true, ""},
    Route{"GET", "/api/version", Kind::version, true, ""},
    Route{"GET", "/logs", Kind::logs, true, ""},
    Route{"GET", "/logs/stream", Kind::logs_stream, true, ""},
    Route{"GET", "/logs/stream/{name...}", Kind::logs_stream, true, ""},
    Route{"*", "/comfyui", Kind::comfyui_bare, true, ""},
    Route{"*", "/comfyui/", Kind::comfyui, true, ""},
    Route{"*", "/comfyui/{path...}", Kind::comfyui, true, ""},
    Route{"*", "/upstream/{path...}", Kind::upstream, true, ""},
    Route{"GET", "/upstream", Kind::upstream_index, false, ""},
    Route{"GET", "/", Kind::root, false, ""},
};

constexpr Route preflight{"OPTIONS", "*", Kind::preflight, false, ""};

/// What follows the pattern's fixed part; nullopt when the path is not of this pattern.
std::optional<std::string_view> matches(std::string_view pattern, std::string_view path) {
    const auto wildcard = pattern.find('{');
    if (wildcard == std::string_view::npos) {
        return pattern == path ? std::optional(std::string_view{}) : std::nullopt;
    }
    if (!path.starts_with(pattern.substr(0, wildcard)) || path.size() == wildcard) {
        return std::nullopt;  // a wildcard stands for at least one character
    }
    return path.substr(wildcard);
}

void allow(std::string& list, std::string_view method) {
    list += list.empty() ? "" : ", ";
    list += method;
    if (method == "GET") {
        list += ", HEAD";
    }
}

/// TRACE would echo what the client sent, keys included; CONNECT never gets this far.
bool any_method_allows(std::string_view method) noexcept {
    return method != "TRACE" && method != "CONNECT";
}

}  // namespace

RouteMatch find_route(std::string_view method, std::string_view normal_path) {
    RouteMatch out;
    if (method == "OPTIONS") {
        out.outcome = RouteMatch::Outcome::found;
        out.route = &preflight;
        return out;
    }
    const auto asked = method == "HEAD" ? std::string_view("GET") : method;
    for (const Route& route : routes) {
        const auto rest = matches(route.pattern, normal_path);
        if (!rest) {
            continue;
        }
        const bool any = route.method == "*" && any_method_allows(method);
        if (any || route.method == asked) {
            out.outcome = RouteMatch::Outcome::found;
            out.route = &route;
            out.rest = http::percent_decode(*rest).value_or("");
            out.allow.clear();
            return out;
        }
        out.outcome = RouteMatch::Outcome::method_not_allowed;
        allow(out.allow, route.method == "*" ? "GET" : route.method);
    }
    return out;
}

}  // namespace corral::api
