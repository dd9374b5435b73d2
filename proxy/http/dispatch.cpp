#include "proxy/http/dispatch.hpp"

#include "core/config.hpp"
#include "proxy/api/control.hpp"
#include "proxy/http/session.hpp"
#include "proxy/http/tunnel.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <utility>

namespace corral::http {
namespace {

using api::RouteKind;
using api::RouteMatch;

/// The model that /comfyui/ is the page of.
constexpr std::string_view comfyui_model = "comfyui_auto";

Result<std::string> query_model(const Target& target) {
    if (auto name = query_value(target.query, "model"); name && !name->empty()) {
        return std::move(*name);
    }
    return Error(Errc::model_missing, Blame::client,
                 "no model id could be identified: add ?model=NAME");
}

}  // namespace

Step Dispatch::first(std::string& model) const {
    const api::AccessRules& rules = context_.access(config_);
    if (auto refused = rules.refuse_host(head_)) {
        return *std::move(refused);
    }
    auto target = parse_target(head_.target);
    if (!target) {
        return target.error();
    }
    const auto match = api::find_route(head_.method, target->normal);
    if (auto refused = rules.refuse(head_, caller_, match)) {
        return *std::move(refused);
    }
    if (target->redirect) {
        Answer answer;
        answer.status = 307;
        answer.fields.emplace_back("Location", target->location());
        return answer;
    }
    if (match.outcome == RouteMatch::Outcome::not_found) {
        return Error(Errc::not_found, Blame::client,
                     "no such path: " + head_.method + " " + target->path +
                         "; see GET /v1/models and the README's table of requests");
    }
    if (match.outcome == RouteMatch::Outcome::method_not_allowed) {
        const Error error(Errc::method_not_allowed, Blame::client,
                          "this path takes " + match.allow + ", not " + head_.method);
        return answer_of(error, &head_, match.allow);
    }
    return route(match, std::move(*target), model);
}

Step Dispatch::route(const RouteMatch& match, Target target, std::string& model) const {
    switch (match.route->kind) {
        case RouteKind::inference_body:
            return NamedByBody{match.route, std::move(target)};
        case RouteKind::inference_query:
            return match.route->touches
                       ? inference(*match.route, target, query_model(target), true, model)
                       : glance(*match.route, target, model);
        case RouteKind::metrics:
            if (query_value(target.query, "model")) {
                return glance(*match.route, target, model);
            }
            return ToControl{match};
        case RouteKind::upstream:
            return upstream(target, model);
        case RouteKind::comfyui:
            return comfyui(target, model);
        case RouteKind::comfyui_bare:
            return moved(target.has_query ? "/comfyui/?" + target.query : "/comfyui/");
        default:
            return ToControl{match};
    }
}

Step Dispatch::named(const NamedByBody& request, const Result<std::string>& found, bool is_json,
                     std::string& model) const {
    if (!found && found.error().is(Errc::model_missing) && !is_json) {
        if (auto in_query = query_model(request.target)) {
            return inference(*request.route, request.target, in_query, true, model);
        }
    }
    return inference(*request.route, request.target, found, false, model);
}

Step Dispatch::inference(const api::Route& route, const Target& target,
                         const Result<std::string>& name, bool in_query, std::string& model) const {
    if (!name) {
        return name.error();
    }
    model = *name;
    auto to = destination_of(*name);
    if (!to) {
        return to.error();
    }
    Forward out;
    out.reservation = reserve(*to);
    out.renames = true;
    out.metered = head_.method == "POST";
    out.target = route.upstream_path.empty() ? std::string_view(target.path) : route.upstream_path;
    if (target.has_query) {
        out.target += "?";
        out.target += in_query && to->sent_name != *name
                          ? replace_query_value(target.query, "model", to->sent_name)
                          : target.query;
    }
    out.to = std::move(*to);
    return out;
}

/// A look at a model's server: it does not keep the model loaded, and not every one loads it.
Step Dispatch::glance(const api::Route& route, const Target& target, std::string& model) const {
    Step out = inference(route, target, query_model(target), true, model);
    auto* forward = std::get_if<Forward>(&out);
    if (forward == nullptr || forward->to.model == nullptr) {
        return out;
    }
    const auto autoload = query_value(target.query, "autoload");
    const bool loads = route.loads && autoload != "0" && autoload != "false";
    if (!loads && !is_ready(*forward->to.model)) {
        return Error(Errc::conflict, Blame::client,
                     "model " + safe_text(forward->to.model->id.str(), 256) +
                         " is not loaded, and this request does not load it. What to do: send the "
                         "model another request first.");
    }
    forward->use = loads ? ModelUse::untouched : ModelUse::if_ready;
    return out;
}

Result<Destination> Dispatch::destination_of(std::string_view name) const {
    const api::StateOf state_of = api::states_of(context_.fleet);
    const Directory directory{*config_, context_.profile.in(*config_), state_of,
                              context_.selectors};
    return find_destination(name, directory);
}

/// What a spillover counts until the request has ended.
api::SelectorLoads::Reservation Dispatch::reserve(const Destination& to) const {
    const bool ignored = to.model != nullptr && is_ignored(head_, *to.model);
    if (to.selector == nullptr || ignored || to.selector->strategy != SelectorStrategy::spillover) {
        return {};
    }
    return context_.selectors.reserve(to.selector->id, to.name);
}

Step Dispatch::upstream(const Target& target, std::string& model) const {
    auto found = find_upstream_destination(target, *config_, context_.profile.in(*config_));
    if (!found) {
        return found.error();
    }
    model = found->target.model;
    if (!found->target.redirect.empty()) {
        return moved(found->target.redirect);
    }
    const ModelConfig* ours = found->to.model;
    if (ours != nullptr && !is_ready(*ours) && is_page_file(found->target.remainder)) {
        return Error(Errc::conflict, Blame::client,
                     "model " + safe_text(ours->id.str(), 256) +
                         " is not loaded; path matches upstream.ignorePaths");
    }
    Forward out;
    out.to = std::move(found->to);
    out.target = found->target.request_target();
    const auto below = api::find_route(head_.method, found->target.remainder);
    out.metered = head_.method == "POST" && below.route != nullptr &&
                  below.route->kind == RouteKind::inference_body;
    return out;
}

/// ComfyUI's page goes on asking in the background, so that only opening it loads the model.
Step Dispatch::comfyui(const Target& target, std::string& model) const {
    const ModelId id{std::string(comfyui_model)};
    model = id.str();
    Forward out;
    out.to.model = config_->find_id(id);
    if (out.to.model == nullptr) {
        return Error(Errc::model_not_found, Blame::client,
                     "local model " + id.str() + " not found");
    }
    out.target = path_behind_first_segment(target);
    if (out.target != "/" && !is_ready(*out.to.model)) {
        return Error(Errc::conflict, Blame::client,
                     "model " + id.str() + " is not loaded; only /comfyui/ can start it");
    }
    if (target.has_query) {
        out.target += "?" + target.query;
    }
    return out;
}

/// A permanent redirect that keeps the method.
Answer Dispatch::moved(std::string location) const {
    Answer answer;
    answer.status = head_.method == "GET" || head_.method == "HEAD" ? 301 : 308;
    answer.fields.emplace_back("Location", std::move(location));
    return answer;
}

bool Dispatch::is_ready(const ModelConfig& model) const {
    return context_.fleet.state_of(model.id) == ProcessState::ready;
}

/// What belongs to a web page: it alone never starts a model (upstream.ignorePaths).
bool Dispatch::is_page_file(std::string_view path) const {
    const auto decoded = percent_decode(path);
    return context_.ignored_paths(config_).matches(decoded ? *decoded : std::string(path));
}

}  // namespace corral::http
