#include "proxy/http/session.hpp"

#include "core/log.hpp"
#include "proxy/api/auth.hpp"
#include "proxy/api/llama_swap.hpp"
#include "proxy/api/route_table.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/exchange.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"
#include "proxy/http/target.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
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

/// The files of a web page: they alone never start a model (llama-swap's upstream.ignorePaths).
constexpr std::array<std::string_view, 9> page_files{".js",  ".json", ".css", ".png", ".gif",
                                                     ".jpg", ".jpeg", ".ico", ".txt"};

std::chrono::seconds seconds_since_1970() {
    return std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());
}

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
            default:
                break;
        }
        auto answer = co_await local_answer(match, head, exchange, account);
        if (!answer) {
            co_return co_await fail(answer.error(), head, exchange, account);
        }
        co_return co_await reply(*answer, head, exchange, account);
    }

    asio::awaitable<bool> inference(const api::Route& route, const RequestHead& head,
                                    const Target& target, Exchange& exchange, Account& account) {
        Result<std::string> name = query_model(target);
        if (route.kind == RouteKind::inference_body) {
            auto found = co_await exchange.find_model();
            // A JSON body alone decides; with other bodies the query may name the model, too.
            if (found || !name || !found.error().is(Errc::model_missing) ||
                exchange.body_is_json()) {
                name = std::move(found);
            }
        }
        if (!name) {
            co_return co_await fail(name.error(), head, exchange, account);
        }
        const ModelConfig* model = config_->find(*name);
        account.model = *name;
        if (model == nullptr) {
            co_return co_await fail(unknown_model(*name), head, exchange, account);
        }
        const auto path =
            route.upstream_path.empty() ? std::string_view(target.path) : route.upstream_path;
        std::string request_target(path);
        if (target.has_query) {
            request_target += "?" + target.query;
        }
        co_return co_await proxy(*model, request_target, head, exchange, account);
    }

    static Result<std::string> query_model(const Target& target) {
        if (auto name = query_value(target.query, "model"); name && !name->empty()) {
            return std::move(*name);
        }
        return Error(Errc::model_missing, Blame::client,
                     "no model id could be identified: add ?model=NAME");
    }

    Error unknown_model(std::string_view name) const {
        // llama-swap's words first: its users' scripts look for them.
        std::string detail = "no router for requested model \"" + safe_text(name, 256) + "\"";
        detail += config_->models.empty() ? ": no model is configured"
                                          : ": GET /v1/models lists what there is";
        return {Errc::model_not_found, Blame::client, std::move(detail)};
    }

    asio::awaitable<bool> upstream(const RequestHead& head, const Target& target,
                                   Exchange& exchange, Account& account) {
        const IsModel is_model = [this](std::string_view name) {
            return config_->find(name) != nullptr;
        };
        const auto split = split_upstream(target, is_model);
        if (!split) {
            co_return co_await fail(split.error(), head, exchange, account);
        }
        if (!split->redirect.empty()) {
            Answer answer;
            answer.status = head.method == "GET" || head.method == "HEAD" ? 301 : 308;
            answer.fields.emplace_back("Location", split->redirect);
            co_return co_await reply(answer, head, exchange, account);
        }
        account.model = split->model;
        const ModelConfig& model = *config_->find(split->model);
        const bool page_file =
            std::any_of(page_files.begin(), page_files.end(),
                        [&](std::string_view end) { return split->remainder.ends_with(end); });
        if (page_file && state_of(model.id) != ProcessState::ready) {
            Error error(Errc::conflict, Blame::client,
                        "model " + safe_text(split->model, 256) +
                            " is not loaded; path matches upstream.ignorePaths");
            co_return co_await fail(error, head, exchange, account);
        }
        co_return co_await proxy(model, split->request_target(), head, exchange, account);
    }

    ProcessState state_of(const ModelId& id) const {
        for (const auto& status : context_->fleet.models()) {
            if (status.id == id) {
                return status.state;
            }
        }
        return ProcessState::stopped;
    }

    asio::awaitable<bool> proxy(const ModelConfig& model, std::string target,
                                const RequestHead& head, Exchange& exchange, Account& account) {
        auto outcome = co_await exchange.run(model, std::move(target));
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
            spdlog::warn("answer cut model={} reason=\"{}\"", model.id.str(),
                         log::clean(error.detail, 2048));
            co_return false;
        }
        co_return co_await fail(error, head, exchange, account);
    }

    /// Everything that Corral answers itself.
    asio::awaitable<Result<Answer>> local_answer(const RouteMatch& match, const RequestHead& head,
                                                 Exchange& exchange, Account& account) {
        Answer answer;
        switch (match.route->kind) {
            case RouteKind::health:
                answer.content_type = "text/plain; charset=utf-8";
                answer.body = "OK";
                break;
            case RouteKind::models_list:
                answer.content_type = "application/json";
                answer.body =
                    api::models_list(*config_, context_->fleet.models(), seconds_since_1970());
                break;
            case RouteKind::model_info: {
                auto record = api::model_record(*config_, context_->fleet.models(), match.rest,
                                                seconds_since_1970());
                if (!record) {
                    co_return unknown_model(match.rest);
                }
                answer.content_type = "application/json";
                answer.body = std::move(*record);
                break;
            }
            case RouteKind::running:
                answer.content_type = "application/json";
                answer.body = api::running_list(*config_, context_->fleet.models());
                break;
            case RouteKind::unload_all:
                co_await context_->fleet.unload_all();
                answer.content_type = "text/plain; charset=utf-8";
                answer.body = "OK";
                break;
            case RouteKind::api_unload_all:
                co_await context_->fleet.unload_all();
                answer.content_type = "application/json";
                answer.body = R"({"msg":"ok"})";
                break;
            case RouteKind::api_unload_one:
                co_return co_await unload(match.rest, account);
            case RouteKind::load:
                co_return co_await load(exchange, account);
            case RouteKind::root:
            case RouteKind::upstream_index:
                answer.status = 302;
                answer.fields.emplace_back("Location", "/v1/models");
                break;
            case RouteKind::preflight:
                co_return preflight(head);
            default:
                co_return Error(Errc::internal, Blame::internal, "a route without a handler");
        }
        co_return answer;
    }

    asio::awaitable<Result<Answer>> unload(std::string name, Account& account) {
        const ModelConfig* model = config_->find(name);
        account.model = name;
        if (model == nullptr) {
            co_return Error(Errc::model_not_found, Blame::client,
                            "model not found: \"" + safe_text(name, 256) + "\"");
        }
        const auto done = co_await context_->fleet.unload(model->id);
        if (!done) {
            co_return done.error();
        }
        Answer answer;
        answer.content_type = "text/plain; charset=utf-8";
        answer.body = "OK";
        co_return answer;
    }

    /// Answers when the model is ready, so that a failure can be told.
    asio::awaitable<Result<Answer>> load(Exchange& exchange, Account& account) {
        const auto name = co_await exchange.find_model();
        if (!name) {
            co_return name.error();
        }
        account.model = *name;
        const ModelConfig* model = config_->find(*name);
        if (model == nullptr) {
            co_return unknown_model(*name);
        }
        const auto lease = co_await exchange.admit(*model);
        if (!lease) {
            co_return lease.error();
        }
        Answer answer;
        answer.content_type = "application/json";
        answer.body = R"({"success":true})";
        co_return answer;
    }

    /// Pages of this machine may ask; which others may is the edge's to decide, so none here.
    static Answer preflight(const RequestHead& head) {
        Answer answer;
        answer.status = 204;
        const auto origin = head.fields.find("origin");
        const bool local = origin && (origin->starts_with("http://localhost") ||
                                      origin->starts_with("http://127.0.0.1") ||
                                      origin->starts_with("http://[::1]"));
        if (local && checked_value("origin", *origin)) {
            answer.fields = {
                {"Access-Control-Allow-Origin", std::string(*origin)},
                {"Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
                {"Access-Control-Allow-Headers",
                 "Content-Type, Authorization, Accept, X-Requested-With"},
                {"Access-Control-Max-Age", "86400"},
                {"Vary", "Origin"}};
        }
        return answer;
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

asio::awaitable<void> run_session(Socket socket, std::string peer,
                                  std::shared_ptr<SessionContext> context) {
    Session session(std::move(socket), std::move(peer), std::move(context));
    co_await session.run();
}

}  // namespace corral::http
