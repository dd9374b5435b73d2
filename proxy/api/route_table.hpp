#pragma once
// Every path that Corral serves, one line a route (the table is in the .cpp). Says what a request
// is, not what is done about it. Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>

namespace corral::api {

enum class RouteKind : std::uint8_t {
    inference_body,   ///< POST; the model stands in the body (JSON or a form)
    inference_query,  ///< GET; the model stands in ?model=
    metrics,          ///< GET /metrics: Corral's own, or with ?model= those of that model's server
    models_list,      ///< GET /v1/models, /models
    model_info,       ///< GET /v1/models/{id}: rest is the id
    health,           ///< GET /health, /wol-health
    running,          ///< GET /running
    unload_all,       ///< GET /unload: answers the text OK
    api_unload_all,   ///< POST /api/models/unload: answers {"msg":"ok"}
    api_unload_one,   ///< POST /api/models/unload/{model}: rest is the model
    model_states,     ///< GET /api/models: what each does, and how it failed
    api_reset_all,    ///< POST /api/models/reset: forgets that models failed
    api_reset_one,    ///< POST /api/models/reset/{model}: rest is the model
    reload,           ///< POST /api/config/reload
    regenerate,       ///< POST /api/config/regenerate
    load,             ///< POST /models/load, llama-server's router: {"model":…}
    upstream,         ///< ANY /upstream/{model}/{path}: http::split_upstream
    upstream_index,   ///< GET /upstream
    comfyui,          ///< ANY /comfyui/{path}: the model of that name, loaded by /comfyui/ only
    comfyui_bare,     ///< ANY /comfyui: redirected to /comfyui/
    profiles,         ///< GET /api/profiles
    profile_choice,   ///< PUT /api/profiles/active: {"name":…}
    version,          ///< GET /api/version
    logs,             ///< GET /logs
    logs_stream,      ///< GET /logs/stream[/{name}]: rest is the name, empty for what is shown
    root,             ///< GET /
    preflight,        ///< OPTIONS on any path
};

struct Route {
    std::string_view method;   ///< "*" stands for any
    std::string_view pattern;  ///< exact, or with one {name…} at the end that may hold slashes
    RouteKind kind = RouteKind::health;
    bool auth = true;                ///< an API key is needed where keys are configured
    std::string_view upstream_path;  ///< path that the upstream sees; empty: the same
    bool loads = true;               ///< inference_query: the model, unless `autoload` says no
    bool touches = true;  ///< the model's idle time begins anew when the request has ended
};

struct RouteMatch {
    enum class Outcome : std::uint8_t { found, not_found, method_not_allowed };
    Outcome outcome = Outcome::not_found;
    const Route* route = nullptr;  ///< found; static
    std::string rest;              ///< found: what the wildcard stands for, decoded
    std::string allow;             ///< method_not_allowed: "GET, HEAD", for the Allow field
};

/// `normal_path` is http::Target::normal. GET routes answer HEAD too.
[[nodiscard]] RouteMatch find_route(std::string_view method, std::string_view normal_path);

}  // namespace corral::api
