// Every path leads to the route that the contract names, or says that there is none.
#include "proxy/api/route_table.hpp"

#include "proxy/http/target.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace corral;
using namespace corral::api;

namespace {

using Outcome = RouteMatch::Outcome;

RouteMatch find(std::string_view method, std::string_view target) {
    return find_route(method, http::parse_target(target).value().normal);
}

bool leads_to(std::string_view method, std::string_view target, RouteKind kind) {
    const auto match = find(method, target);
    return match.outcome == Outcome::found && match.route->kind == kind;
}

bool unknown(std::string_view method, std::string_view target) {
    return find(method, target).outcome == Outcome::not_found;
}

}  // namespace

TEST_CASE("every inference path of the contract is served") {
    for (const auto* path : {"/v1/chat/completions",
                             "/v1/responses",
                             "/v1/completions",
                             "/v1/messages",
                             "/v1/messages/count_tokens",
                             "/v1/embeddings",
                             "/reranking",
                             "/rerank",
                             "/v1/rerank",
                             "/v1/reranking",
                             "/infill",
                             "/completion",
                             "/v1/audio/speech",
                             "/v1/audio/voices",
                             "/v1/images/generations",
                             "/sdapi/v1/txt2img",
                             "/sdapi/v1/img2img",
                             "/audioapi/v1/tasks/run",
                             "/v/chat/completions",
                             "/v/responses",
                             "/v/completions",
                             "/v/messages",
                             "/v/messages/count_tokens",
                             "/v/embeddings",
                             "/v/rerank",
                             "/v/reranking",
                             "/v1/audio/transcriptions",
                             "/v1/images/edits"}) {
        CAPTURE(path);
        CHECK(leads_to("POST", path, RouteKind::inference_body));
        CHECK(find("POST", path).route->auth);
    }
    for (const auto* path : {"/v1/audio/voices", "/sdapi/v1/loras", "/props"}) {
        CAPTURE(path);
        CHECK(leads_to("GET", path, RouteKind::inference_query));
        CHECK(leads_to("HEAD", path, RouteKind::inference_query));
    }
}

TEST_CASE("looking at a model does not touch it, and only some of it loads one") {
    // Guards: who polls /slots, /metrics or /props neither keeps a model nor, mostly, loads it.
    const auto* props = find("GET", "/props").route;
    CHECK((props->loads && !props->touches));
    for (const auto* path : {"/slots", "/metrics"}) {
        CAPTURE(path);
        const auto* watch = find("GET", path).route;
        CHECK_FALSE((watch->loads || watch->touches));
        CHECK(watch->auth);
    }
    const auto* voices = find("GET", "/v1/audio/voices").route;
    CHECK((voices->loads && voices->touches));
}

TEST_CASE("prefixed paths lose their prefix on the way upstream") {
    CHECK(find("POST", "/v/chat/completions").route->upstream_path == "/chat/completions");
    CHECK(find("POST", "/audioapi/v1/tasks/run").route->upstream_path == "/v1/tasks/run");
    CHECK(find("POST", "/v1/chat/completions").route->upstream_path.empty());
}

TEST_CASE("control paths") {
    CHECK(leads_to("GET", "/metrics", RouteKind::metrics));
    CHECK(leads_to("GET", "/v1/models", RouteKind::models_list));
    CHECK(leads_to("GET", "/models", RouteKind::models_list));
    CHECK(leads_to("GET", "/v1/models/org/m", RouteKind::model_info));
    CHECK(find("GET", "/v1/models/org%2Fm").rest == "org/m");
    CHECK(find("GET", "/v1/models/a%2520b").rest == "a%20b");
    CHECK(leads_to("GET", "/health", RouteKind::health));
    CHECK_FALSE(find("GET", "/health").route->auth);
    CHECK(leads_to("GET", "/running", RouteKind::running));
    CHECK(leads_to("GET", "/unload", RouteKind::unload_all));
    CHECK(leads_to("POST", "/api/models/unload", RouteKind::api_unload_all));
    CHECK(leads_to("POST", "/api/models/unload/org/m", RouteKind::api_unload_one));
    CHECK(find("POST", "/api/models/unload/org/m").rest == "org/m");
    CHECK(leads_to("GET", "/api/models", RouteKind::model_states));
    CHECK(leads_to("POST", "/api/models/reset", RouteKind::api_reset_all));
    CHECK(leads_to("POST", "/api/models/reset/org/m", RouteKind::api_reset_one));
    CHECK(leads_to("POST", "/models/load", RouteKind::load));
    CHECK(leads_to("POST", "/api/config/reload", RouteKind::reload));
    CHECK(find("POST", "/api/config/reload").route->auth);
    CHECK(leads_to("POST", "/api/config/regenerate", RouteKind::regenerate));
    CHECK(find("POST", "/api/config/regenerate").route->auth);
    CHECK(leads_to("GET", "/upstream", RouteKind::upstream_index));
    CHECK(leads_to("GET", "/", RouteKind::root));
    for (const auto* method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY"}) {
        CHECK(leads_to(method, "/upstream/m/x", RouteKind::upstream));
    }
}

TEST_CASE("unknown paths are not found, whatever the method; no trailing slash, no other case") {
    for (const auto* path : {"/nope", "/v1/models/", "/v1", "/v1/", "/V1/models", "/health/",
                             "/v1%2Fmodels", "/v1/models;x", "/api/models/unload/", "/upstream/",
                             "/logs/x", "/healthz", "/v1/chat/completions/x", "*"}) {
        CAPTURE(path);
        CHECK(unknown("GET", path));
        CHECK(unknown("POST", path));
    }
}

TEST_CASE("a wrong method says which ones are right") {
    const auto post = find("POST", "/v1/models");
    CHECK(post.outcome == Outcome::method_not_allowed);
    CHECK(post.allow == "GET, HEAD");
    CHECK(find("GET", "/v1/completions").allow == "POST");
    CHECK(find("DELETE", "/v1/audio/voices").allow == "POST, GET, HEAD");
    CHECK(find("get", "/health").outcome == Outcome::method_not_allowed);
    CHECK(find("TRACE", "/upstream/m/").outcome == Outcome::method_not_allowed);
}

TEST_CASE("OPTIONS is a preflight on any path") {
    CHECK(leads_to("OPTIONS", "/v1/models", RouteKind::preflight));
    CHECK(leads_to("OPTIONS", "/nope", RouteKind::preflight));
    CHECK(leads_to("OPTIONS", "*", RouteKind::preflight));
    CHECK_FALSE(find("OPTIONS", "/logs").route->auth);
}

TEST_CASE("profiles, version and ComfyUI have their routes, all behind the key") {
    // Guards: what llama-swap's page and ComfyUI's page ask for.
    CHECK(leads_to("GET", "/api/profiles", RouteKind::profiles));
    CHECK(leads_to("PUT", "/api/profiles/active", RouteKind::profile_choice));
    CHECK(find("POST", "/api/profiles/active").allow == "PUT");
    CHECK(leads_to("GET", "/api/version", RouteKind::version));
    for (const auto* method : {"GET", "POST", "DELETE"}) {
        CHECK(leads_to(method, "/comfyui", RouteKind::comfyui_bare));
        CHECK(leads_to(method, "/comfyui/", RouteKind::comfyui));
        CHECK(leads_to(method, "/comfyui/api/x", RouteKind::comfyui));
    }
    CHECK(unknown("GET", "/comfyui2"));
    for (const auto* path : {"/api/profiles", "/api/version", "/comfyui", "/comfyui/"}) {
        CHECK(find("GET", path).route->auth);
    }
}
