#include "proxy/api/control.hpp"

#include "proxy/api/cors.hpp"
#include "proxy/api/llama_swap.hpp"
#include "proxy/api/logs.hpp"
#include "proxy/api/metrics.hpp"
#include "proxy/api/model_list.hpp"
#include "proxy/api/model_states.hpp"
#include "proxy/api/profiles.hpp"
#include "proxy/http/error_body.hpp"
#include "proxy/http/naming.hpp"
#include "proxy/http/target.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

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

Error not_found(const std::string& name) {
    return {Errc::model_not_found, Blame::client,
            "model not found: \"" + http::safe_text(name, 256) + "\""};
}

/// What was unloaded: one model, or all that were there; those at rest already are not named.
std::string unloaded_document(const std::vector<ModelStatus>& before, const ModelId* only,
                              TimePoint began) {
    const auto took = std::chrono::duration_cast<Duration>(Clock::now() - began).count();
    nlohmann::json models = nlohmann::json::array();
    for (const ModelStatus& status : before) {
        if ((only == nullptr || status.id == *only) && !is_at_rest(status.state)) {
            models.push_back({{"model", status.id.str()},
                              {"was", process_state_name(status.state)},
                              {"in_flight", status.in_flight}});
        }
    }
    const nlohmann::json out{{"msg", "ok"}, {"took_ms", took}, {"models", std::move(models)}};
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

StateOf states_of(const Fleet& fleet) {
    return [&fleet](const ModelId& id) { return fleet.state_of(id); };
}

awaitable<Result<Answer>> Control::answer(const RouteMatch& match, std::string& model) {
    switch (match.route->kind) {
        case RouteKind::unload_all:
            co_return co_await unload_all(true);
        case RouteKind::api_unload_all:
            co_return co_await unload_all(false);
        case RouteKind::api_unload_one:
            model = match.rest;
            co_return co_await unload(match.rest);
        case RouteKind::load:
            co_return co_await load(model);
        case RouteKind::profile_choice:
            co_return co_await choose_profile();
        case RouteKind::regenerate:
            co_return co_await regenerate();
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
            return json(models_list(listing(*config_, profile, state_of)));
        }
        case RouteKind::model_info:
            return model_info(match.rest);
        case RouteKind::running:
            return json(running_list(*config_, context_.fleet.models()));
        case RouteKind::model_states:
            return json(model_states(*config_, context_.fleet.models()));
        case RouteKind::metrics:
            return metrics_answer(context_.metrics, context_.fleet, context_.seats.taken());
        case RouteKind::api_reset_all:
        case RouteKind::api_reset_one:
            return reset(match);
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

/// `?force`, `?force=1`, … but not `?force=0` or `?force=false`.
bool Control::asks_for(std::string_view parameter) const {
    const auto target = http::parse_target(head_.target);
    const auto value = target ? http::query_value(target->query, parameter) : std::nullopt;
    return value && *value != "0" && *value != "false";
}

Unloading Control::how_to_unload() const {
    return asks_for("force") ? Unloading::forced : Unloading::drains;
}

awaitable<Result<Answer>> Control::regenerate() {
    if (!context_.regenerate) {
        co_return Error(Errc::unsupported, Blame::internal, "this program cannot regenerate");
    }
    const RegenerateReport report = co_await context_.regenerate();
    co_return regenerate_answer(report, head_);
}

awaitable<Result<Answer>> Control::unload(std::string name) {
    const ModelConfig* model = config_->find(name);
    if (model == nullptr) {
        co_return not_found(name);
    }
    const std::vector<ModelStatus> before = context_.fleet.models();
    const TimePoint began = Clock::now();
    const auto done = co_await context_.fleet.unload(model->id, how_to_unload());
    if (!done) {
        co_return done.error();
    }
    if (asks_for("verbose")) {
        co_return json(unloaded_document(before, &model->id, began));
    }
    co_return text("OK");
}

awaitable<Result<Answer>> Control::unload_all(bool as_text) {
    const std::vector<ModelStatus> before = context_.fleet.models();
    const TimePoint began = Clock::now();
    co_await context_.fleet.unload_all(how_to_unload());
    if (asks_for("verbose")) {
        co_return json(unloaded_document(before, nullptr, began));
    }
    if (as_text) {
        co_return text("OK");
    }
    co_return json(R"({"msg":"ok"})");
}

Result<Answer> Control::reset(const RouteMatch& match) const {
    if (match.route->kind == RouteKind::api_reset_one) {
        const ModelConfig* model = config_->find(match.rest);
        if (model == nullptr) {
            return not_found(match.rest);
        }
        if (const auto done = context_.fleet.reset(model->id); !done) {
            return done.error();
        }
        return json(R"({"msg":"ok"})");
    }
    for (const ModelConfig& model : config_->models) {
        if (const auto done = context_.fleet.reset(model.id); !done) {
            return done.error();
        }
    }
    return json(R"({"msg":"ok"})");
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
    if (const auto asked_for = context_.fleet.reset(known->id); !asked_for) {
        co_return asked_for.error();
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
