#include "proxy/http/session.hpp"

#include "core/log.hpp"
#include "proxy/api/auth.hpp"
#include "proxy/api/control.hpp"
#include "proxy/api/route_table.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/exchange.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/naming.hpp"
#include "proxy/http/target.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <utility>

namespace corral::http {
namespace {

using api::RouteKind;
using api::RouteMatch;

/// What the log line of a finished request says.
struct Account {
    std::string model;
    unsigned status = 0;
    std::uint64_t bytes = 0;
};

/// The model that /comfyui/ is the page of.
constexpr std::string_view comfyui_model = "comfyui_auto";

/// One client connection. Everything that a request needs stands here or in the coroutines below.
class Session {
public:
    Session(Socket socket, std::string peer, std::shared_ptr<SessionContext> context)
        : client_(std::move(socket)), peer_(std::move(peer)), context_(std::move(context)) {
        ++context_->sessions;
    }
    ~Session() { --context_->sessions; }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    asio::awaitable<void> run() {
        while (client_.is_open() && !context_->draining) {
            config_ = context_->fleet.config();
            const bool begins = co_await next_request_begins();
            if (!begins) {
                break;
            }
            auto head = co_await read_head();
            if (!head) {
                if (!head.error().is(Errc::cancelled)) {
                    co_await refuse_connection(head.error());
                }
                break;
            }
            const bool go_on = co_await serve(*head);
            if (!go_on) {
                break;
            }
        }
        client_.close();
    }

private:
    /// Between two requests a connection holds no buffer. False: it ended.
    asio::awaitable<bool> next_request_begins() {
        if (!client_.in().empty()) {
            co_return true;
        }
        client_.in().release();
        const auto place = context_->idle.insert(context_->idle.end(), &client_);
        client_.set_deadline(Clock::now() + config_->limits.keep_alive_timeout);
        const auto ec = co_await client_.wait_readable();
        context_->idle.erase(place);
        co_return !ec && client_.is_open();
    }

    /// `cancelled` when the client ended the connection before or in the middle of a head.
    asio::awaitable<Result<RequestHead>> read_head() {
        client_.set_deadline(Clock::now() + config_->limits.head_timeout);
        HeadScanner scanner(config_->limits, HeadOf::request);
        while (true) {
            auto scan = scanner.scan(client_.in().data());
            if (scan.state == HeadScan::State::refused) {
                co_return std::move(*scan.error);
            }
            if (scan.state == HeadScan::State::complete) {
                auto head =
                    parse_request_head(client_.in().data().substr(0, scan.bytes), config_->limits);
                client_.in().consume(scan.bytes);
                client_.set_deadline(TimePoint::max());
                co_return head;
            }
            const auto ec = co_await client_.fill();
            if (ec == asio::error::timed_out && !client_.in().empty()) {
                co_return Error(Errc::timed_out, Blame::client,
                                "the request's head did not arrive in time");
            }
            if (ec == asio::error::no_buffer_space) {
                co_return Error(Errc::head_too_large, Blame::client, "the head is too large");
            }
            if (ec) {
                co_return Error(Errc::cancelled, Blame::client, ec.message());
            }
        }
    }

    /// After a framing error nothing that follows on this connection can be trusted.
    asio::awaitable<void> refuse_connection(Error error) {
        const Answer answer = answer_of(error, nullptr);
        spdlog::info("request refused client={} status={} reason=\"{}\"", peer_, answer.status,
                     log::clean(error.detail));
        const bool sent =
            co_await write_answer(client_, answer, nullptr, false, config_->limits.write_timeout);
        if (sent) {
            co_await linger_and_close(client_);
        }
    }

    /// One request. True when the connection can serve another.
    asio::awaitable<bool> serve(const RequestHead& head) {
        config_ = context_->fleet.config();  // another one, perhaps, than while the client was idle
        context_->profile.follow(*config_);
        const TimePoint begun = Clock::now();
        const auto number = ++context_->requests;
        Account account;
        Exchange exchange(client_, head, peer_, *context_, config_);
        const bool keep_alive = co_await dispatch(head, exchange, account);
        const auto took = std::chrono::duration_cast<Duration>(Clock::now() - begun);
        spdlog::info("request req={} client={} method={} path={} model={} status={} bytes={} ms={}",
                     number, peer_, log::clean(head.method, 32), log::clean(head.target, 256),
                     log::clean(account.model, 128), account.status, account.bytes, took.count());
        co_return keep_alive;
    }

    asio::awaitable<bool> dispatch(const RequestHead& head, Exchange& exchange, Account& account) {
        const auto target = parse_target(head.target);
        if (!target) {
            co_return co_await fail(target.error(), head, exchange, account);
        }
        const auto match = api::find_route(head.method, target->normal);
        const bool open = match.route != nullptr && !match.route->auth;
        if (!open && !api::is_authorized(head.fields, config_->api_keys)) {
            const Error error(Errc::unauthorized, Blame::client,
                              "unauthorized: invalid or missing API key");
            co_return co_await fail(error, head, exchange, account);
        }
        if (target->redirect) {
            Answer answer;
            answer.status = 307;
            answer.fields.emplace_back("Location", target->location());
            co_return co_await reply(answer, head, exchange, account);
        }
        if (match.outcome == RouteMatch::Outcome::not_found) {
            const Error error(Errc::not_found, Blame::client,
                              "no such path: " + head.method + " " + target->path +
                                  "; see GET /v1/models and the README's table of requests");
            co_return co_await fail(error, head, exchange, account);
        }
        if (match.outcome == RouteMatch::Outcome::method_not_allowed) {
            const Error error(Errc::method_not_allowed, Blame::client,
                              "this path takes " + match.allow + ", not " + head.method);
            const Answer answer = answer_of(error, &head, match.allow);
            co_return co_await reply(answer, head, exchange, account);
        }
        co_return co_await route(match, head, *target, exchange, account);
    }

    asio::awaitable<bool> route(const RouteMatch& match, const RequestHead& head,
                                const Target& target, Exchange& exchange, Account& account) {
        switch (match.route->kind) {
            case RouteKind::inference_body:
            case RouteKind::inference_query:
                co_return co_await inference(*match.route, head, target, exchange, account);
            case RouteKind::upstream:
                co_return co_await upstream(head, target, exchange, account);
            case RouteKind::comfyui:
                co_return co_await comfyui(head, target, exchange, account);
            case RouteKind::comfyui_bare: {
                const Answer answer =
                    moved(head, target.has_query ? "/comfyui/?" + target.query : "/comfyui/");
                co_return co_await reply(answer, head, exchange, account);
            }
            default:
                break;
        }
        api::Control control(*context_, config_, head, exchange);
        auto answer = co_await control.answer(match, account.model);
        if (!answer) {
            co_return co_await fail(answer.error(), head, exchange, account);
        }
        co_return co_await reply(*answer, head, exchange, account);
    }

    asio::awaitable<bool> inference(const api::Route& route, const RequestHead& head,
                                    const Target& target, Exchange& exchange, Account& account) {
        Result<std::string> name = query_model(target);
        bool in_query = true;
        if (route.kind == RouteKind::inference_body) {
            auto found = co_await exchange.find_model();
            // A JSON body alone decides; with other bodies the query may name the model, too.
            if (found || !name || !found.error().is(Errc::model_missing) ||
                exchange.body_is_json()) {
                name = std::move(found);
                in_query = false;
            }
        }
        if (!name) {
            co_return co_await fail(name.error(), head, exchange, account);
        }
        account.model = *name;
        const auto to = destination_of(*name);
        if (!to) {
            co_return co_await fail(to.error(), head, exchange, account);
        }
        const auto reservation = reserve(*to, head);
        exchange.set_names(to->name, to->sent_name);
        std::string request_target(route.upstream_path.empty() ? std::string_view(target.path)
                                                               : route.upstream_path);
        if (target.has_query) {
            request_target += "?" + (in_query && to->sent_name != *name
                                         ? replace_query_value(target.query, "model", to->sent_name)
                                         : target.query);
        }
        co_return co_await proxy(*to, request_target, head, exchange, account);
    }

    static Result<std::string> query_model(const Target& target) {
        if (auto name = query_value(target.query, "model"); name && !name->empty()) {
            return std::move(*name);
        }
        return Error(Errc::model_missing, Blame::client,
                     "no model id could be identified: add ?model=NAME");
    }

    Result<Destination> destination_of(std::string_view name) const {
        const api::StateOf state_of = api::states_of(context_->fleet);
        const Directory directory{*config_, context_->profile.in(*config_), state_of,
                                  context_->selectors};
        return find_destination(name, directory);
    }

    /// What a spillover counts until the request has ended. A WebSocket that the model's config
    /// says to ignore stays open for days and is no work.
    api::SelectorLoads::Reservation reserve(const Destination& to, const RequestHead& head) {
        const bool ignored =
            !head.upgrade.empty() && to.model != nullptr && to.model->ignore_websockets;
        if (to.selector == nullptr || ignored ||
            to.selector->strategy != SelectorStrategy::spillover) {
            return {};
        }
        return context_->selectors.reserve(to.selector->id, to.name);
    }

    asio::awaitable<bool> upstream(const RequestHead& head, const Target& target,
                                   Exchange& exchange, Account& account) {
        const auto found =
            find_upstream_destination(target, *config_, context_->profile.in(*config_));
        if (!found) {
            co_return co_await fail(found.error(), head, exchange, account);
        }
        account.model = found->target.model;
        if (!found->target.redirect.empty()) {
            const Answer answer = moved(head, found->target.redirect);
            co_return co_await reply(answer, head, exchange, account);
        }
        const ModelConfig* model = found->to.model;
        if (model != nullptr && !is_ready(*model) && is_page_file(found->target.remainder)) {
            Error error(Errc::conflict, Blame::client,
                        "model " + safe_text(model->id.str(), 256) +
                            " is not loaded; path matches upstream.ignorePaths");
            co_return co_await fail(error, head, exchange, account);
        }
        co_return co_await proxy(found->to, found->target.request_target(), head, exchange,
                                 account);
    }

    /// ComfyUI's page goes on asking in the background, so that only opening it loads the model.
    asio::awaitable<bool> comfyui(const RequestHead& head, const Target& target, Exchange& exchange,
                                  Account& account) {
        const ModelId id{std::string(comfyui_model)};
        account.model = id.str();
        Destination to;
        to.model = config_->find_id(id);
        if (to.model == nullptr) {
            Error error(Errc::model_not_found, Blame::client,
                        "local model " + id.str() + " not found");
            co_return co_await fail(error, head, exchange, account);
        }
        std::string request_target(path_behind_first_segment(target));
        if (request_target != "/" && !is_ready(*to.model)) {
            Error error(Errc::conflict, Blame::client,
                        "model " + id.str() + " is not loaded; only /comfyui/ can start it");
            co_return co_await fail(error, head, exchange, account);
        }
        if (target.has_query) {
            request_target += "?" + target.query;
        }
        co_return co_await proxy(to, request_target, head, exchange, account);
    }

    /// A permanent redirect that keeps the method.
    static Answer moved(const RequestHead& head, std::string location) {
        Answer answer;
        answer.status = head.method == "GET" || head.method == "HEAD" ? 301 : 308;
        answer.fields.emplace_back("Location", std::move(location));
        return answer;
    }

    bool is_ready(const ModelConfig& model) const {
        return context_->fleet.state_of(model.id) == ProcessState::ready;
    }

    /// What belongs to a web page: it alone never starts a model (upstream.ignorePaths).
    bool is_page_file(std::string_view path) const {
        const auto decoded = percent_decode(path);
        return context_->ignored_paths(config_).matches(decoded ? *decoded : std::string(path));
    }

    asio::awaitable<bool> proxy(const Destination& to, std::string target, const RequestHead& head,
                                Exchange& exchange, Account& account) {
        RelayOutcome outcome;
        if (to.model != nullptr) {
            outcome = co_await exchange.run(*to.model, std::move(target));
        } else {
            outcome = co_await exchange.run_on_peer(*to.peer, std::move(target));
        }
        account.status = outcome.status;
        account.bytes = outcome.bytes;
        if (!outcome.error) {
            co_return outcome.client_keep_alive;
        }
        const Error& error = *outcome.error;
        if (error.is(Errc::cancelled)) {
            account.status = 499;
            co_return false;
        }
        if (outcome.head_sent) {  // the answer was cut: so is the connection
            spdlog::warn("answer cut model={} reason=\"{}\"", log::clean(account.model, 128),
                         log::clean(error.detail, 2048));
            co_return false;
        }
        co_return co_await fail(error, head, exchange, account);
    }

    asio::awaitable<bool> fail(Error error, const RequestHead& head, Exchange& exchange,
                               Account& account) {
        if (error.is(Errc::cancelled)) {
            account.status = 499;
            co_return false;
        }
        const Answer answer = answer_of(error, &head);
        if (answer.status >= 500) {
            spdlog::warn("request failed status={} model={} reason=\"{}\"", answer.status,
                         log::clean(account.model, 128), log::clean(error.detail, 2048));
        }
        co_return co_await reply(answer, head, exchange, account);
    }

    /// Sends an answer of our own. The connection goes on only when the body was read to its end.
    asio::awaitable<bool> reply(const Answer& answer, const RequestHead& head, Exchange& exchange,
                                Account& account) {
        account.status = static_cast<unsigned>(answer.status);
        account.bytes = answer.body.size();
        const bool clean = exchange.skip_rest();
        const bool keep_alive = clean && head.keep_alive && !context_->draining;
        const bool sent = co_await write_answer(client_, answer, &head, keep_alive,
                                                config_->limits.write_timeout);
        if (sent && !clean) {
            co_await linger_and_close(client_);
        }
        co_return sent&& keep_alive;
    }

    Wire client_;
    std::string peer_;
    std::shared_ptr<SessionContext> context_;
    std::shared_ptr<const Config> config_;
};

}  // namespace

const PathPatterns& SessionContext::ignored_paths(const std::shared_ptr<const Config>& config) {
    if (patterns_of_ != config) {
        patterns_ = PathPatterns(config->ignore_paths);
        patterns_of_ = config;
    }
    return patterns_;
}

asio::awaitable<void> run_session(Socket socket, std::string peer,
                                  std::shared_ptr<SessionContext> context) {
    Session session(std::move(socket), std::move(peer), std::move(context));
    co_await session.run();
}

}  // namespace corral::http
