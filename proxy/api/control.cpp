#include "proxy/api/control.hpp"

#include "proxy/api/cors.hpp"
#include "proxy/api/llama_swap.hpp"
#include "proxy/api/logs.hpp"
#include "proxy/api/model_list.hpp"
#include "proxy/api/profiles.hpp"
#include "proxy/http/error_body.hpp"
#include "proxy/http/naming.hpp"
#include "proxy/http/target.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <chrono>
#include <utility>

namespace corral::api {
namespace {

using boost::asio::awaitable;
using http::Answer;

/// More than any profile's name needs.
constexpr std::size_t profile_body_bytes_max = 64U << 10U;

Answer text(std::string body) {
    Answer out;
    out.content_type = "text/plain; charset=utf-8";
    out.body = std::move(body);
    return out;
}

Answer json(std::string body) {
    Answer out;
    out.content_type = "application/json";
    out.body = std::move(body);
    return out;
}

Answer redirect(int status, std::string location) {
    Answer out;
    out.status = status;
    out.fields.emplace_back("Location", std::move(location));
    return out;
}

Listing listing(const Config& config, const ProfileConfig* profile, const StateOf& state_of) {
    return {config, profile, state_of,
            std::chrono::duration_cast<std::chrono::seconds>(
                std::chrono::system_clock::now().time_since_epoch())};
}

}  // namespace

StateOf states_of(const Fleet& fleet) {
    return [&fleet](const ModelId& id) { return fleet.state_of(id); };
}

awaitable<Result<Answer>> Control::answer(const RouteMatch& match, std::string& model) {
    switch (match.route->kind) {
        case RouteKind::unload_all:
            co_await context_.fleet.unload_all();
            co_return text("OK");
        case RouteKind::api_unload_all:
            co_await context_.fleet.unload_all();
            co_return json(R"({"msg":"ok"})");
        case RouteKind::api_unload_one:
            model = match.rest;
            co_return co_await unload(match.rest);
        case RouteKind::load:
            co_return co_await load(model);
        case RouteKind::profile_choice:
            co_return co_await choose_profile();
        default:
            co_return answer_at_once(match);
    }
}

Result<Answer> Control::answer_at_once(const RouteMatch& match) const {
    const ProfileConfig* profile = context_.profile.in(*config_);
    switch (match.route->kind) {
        case RouteKind::health:
            return text("OK");
        case RouteKind::models_list: {
            const StateOf state_of = states_of(context_.fleet);
            Answer list = json(models_list(listing(*config_, profile, state_of)));
            allow_reading(head_, list);  // as llama-swap does for this list alone
            return list;
        }
        case RouteKind::model_info:
            return model_info(match.rest);
        case RouteKind::running:
            return json(running_list(*config_, context_.fleet.models()));
        case RouteKind::profiles:
            return json(profiles_document(*config_, profile));
        case RouteKind::version:
            return json(version_document());
        case RouteKind::logs:
            return logs_document(context_.logs);
        case RouteKind::logs_stream:
            return stream_log(match.rest);
        case RouteKind::reload:
            return reload_answer(context_.reload, head_);
        case RouteKind::root:
        case RouteKind::upstream_index:
            return redirect(302, "/v1/models");
        case RouteKind::preflight:
            return preflight(head_);
        default:
            return Error(Errc::internal, Blame::internal, "a route without a handler");
    }
}

Result<Answer> Control::model_info(const std::string& name) const {
    const StateOf state_of = states_of(context_.fleet);
    auto record = model_record(listing(*config_, context_.profile.in(*config_), state_of), name);
    if (!record) {
        return http::unknown_model(name, *config_);
    }
    return json(std::move(*record));
}

Result<Answer> Control::stream_log(const std::string& name) const {
    const auto tail = find_log(context_.logs, *config_, name);
    if (!tail) {
        return tail.error();
    }
    const auto target = http::parse_target(head_.target);
    const bool history = !target || !skips_history(target->query);
    return log_stream(context_.executor, *tail, history);
}

awaitable<Result<Answer>> Control::unload(std::string name) {
    const ModelConfig* model = config_->find(name);
    if (model == nullptr) {
        co_return Error(Errc::model_not_found, Blame::client,
                        "model not found: \"" + http::safe_text(name, 256) + "\"");
    }
    const auto done = co_await context_.fleet.unload(model->id);
    if (!done) {
        co_return done.error();
    }
    co_return text("OK");
}

/// Answers when the model is ready, so that a failure can be told.
awaitable<Result<Answer>> Control::load(std::string& model) {
    const auto name = co_await exchange_.find_model();
    if (!name) {
        co_return name.error();
    }
    model = *name;
    const ModelConfig* known = config_->find(*name);
    if (known == nullptr) {
        co_return http::unknown_model(*name, *config_);
    }
    const auto lease = co_await exchange_.admit(*known);
    if (!lease) {
        co_return lease.error();
    }
    co_return json(R"({"success":true})");
}

awaitable<Result<Answer>> Control::choose_profile() {
    const auto body = co_await exchange_.read_body(profile_body_bytes_max);
    if (!body) {
        co_return body.error();
    }
    const auto name = read_profile_choice(*body);
    if (!name) {
        co_return name.error();
    }
    const auto chosen = context_.profile.choose(*config_, *name);
    if (!chosen) {
        co_return chosen.error();
    }
    co_return json(active_document(context_.profile.in(*config_)));
}

}  // namespace corral::api
