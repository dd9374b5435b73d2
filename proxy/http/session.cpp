#include "proxy/http/session.hpp"

#include "core/log.hpp"
#include "proxy/api/control.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/answer_stream.hpp"
#include "proxy/http/dispatch.hpp"
#include "proxy/http/exchange.hpp"
#include "proxy/http/head_rules.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace corral::http {
namespace {

/// What the log line of a finished request says.
struct Account {
    std::string model;
    unsigned status = 0;
    std::uint64_t bytes = 0;
    std::string more;  ///< further fields, each with a space before it
};

/// A connection whose last request is not longer ago is expected to send the next one soon.
constexpr Duration busy_time{1'000};
/// No more of them keep a buffer for that.
constexpr std::size_t waiting_with_buffer_max = 256;

/// Empty when it has none. No name server is asked.
std::string own_host_name() {
    std::array<char, 256> name{};
    const bool known = ::gethostname(name.data(), name.size() - 1) == 0;
    return known ? std::string(name.data()) : std::string();
}

/// Without the query, which is the client's own: some put keys there.
std::string_view path_of(std::string_view target) noexcept {
    return target.substr(0, target.find('?'));
}

/// Whoever finds no seat has this long to say what it wants, so that it reads the 503 as the
/// answer.
constexpr Duration standing_time{2'000};

/// A connection's place among those between two requests, given back whatever ends the wait.
class IdlePlace {
public:
    IdlePlace(std::list<Wire*>& idle, Wire& wire)
        : idle_(idle), place_(idle.insert(idle.end(), &wire)) {}
    ~IdlePlace() { idle_.erase(place_); }
    IdlePlace(const IdlePlace&) = delete;
    IdlePlace& operator=(const IdlePlace&) = delete;

private:
    std::list<Wire*>& idle_;
    std::list<Wire*>::iterator place_;
};

/// One more in a count, for as long as it lives.
class CountedIn {
public:
    explicit CountedIn(std::size_t& count) noexcept : count_(count) { ++count_; }
    ~CountedIn() { --count_; }
    CountedIn(const CountedIn&) = delete;
    CountedIn& operator=(const CountedIn&) = delete;

private:
    std::size_t& count_;
};

/// One client connection. Everything that a request needs stands here or in the coroutines below.
class Session {
public:
    Session(Socket socket, std::unique_ptr<TlsLayer> tls, std::string peer, Seats::Seat seat,
            std::shared_ptr<SessionContext> context)
        : client_(std::move(socket), std::move(tls)),
          peer_(std::move(peer)),
          context_(std::move(context)),
          config_(context_->fleet.config()),
          seat_(std::move(seat)) {}

    asio::awaitable<void> run() {
        bool goes_on = true;
        if (client_.tls() != nullptr) {
            goes_on = co_await shake_hands_with_client();
        }
        Duration patience = config_->limits.head_timeout;  // for the first byte of all
        while (goes_on && client_.is_open() && !context_->draining) {
            config_ = context_->fleet.config();
            const bool begins = co_await next_request_begins(patience);
            patience = config_->limits.keep_alive_timeout;
            if (!begins) {
                break;
            }
            HeadScanner scanner(config_->limits, HeadOf::request);
            auto head = look_for_head(scanner);
            if (!head) {
                head = co_await read_head(scanner);
            }
            if (!*head) {
                if (!head->error().is(Errc::cancelled)) {
                    co_await refuse_connection(head->error());
                }
                break;
            }
            if (seat_.kind() != Seats::Kind::seat) {
                Error full = no_seat();  // the server says it in the log, for many of them
                const auto id = context_->request_ids.make();
                co_await answer_and_close(std::move(full), id);
                break;
            }
            goes_on = co_await serve(**head);
        }
        log::flush();  // whoever sees the connection end finds in the log why
        client_.close();
    }

private:
    /// False: the client is no good, and has been told so where that is possible.
    asio::awaitable<bool> shake_hands_with_client() {
        const IdlePlace place(context_->idle, client_);
        client_.set_deadline(Clock::now() + within(config_->limits.head_timeout));
        const error_code failed = co_await client_.handshake();
        client_.set_deadline(TimePoint::max());
        if (failed == TlsErrc::plain) {
            Error plain(Errc::bad_request, Blame::client,
                        "plain HTTP was sent to a port that speaks TLS: use https://");
            co_await refuse_connection(std::move(plain));
        } else if (failed && !is_gone(failed)) {
            const std::string& said = client_.tls()->failure();
            spdlog::debug("TLS handshake failed client={} reason=\"{}\"", peer_,
                          log::clean(said.empty() ? failed.message() : said));
        }
        co_return !failed;
    }

    /// Who stands has less time for everything.
    [[nodiscard]] Duration within(Duration patience) const noexcept {
        return seat_.kind() == Seats::Kind::seat ? patience : std::min(patience, standing_time);
    }

    [[nodiscard]] Error no_seat() const {
        const bool of_peer = seat_.kind() == Seats::Kind::standing_peer;
        return {Errc::overloaded, Blame::internal,
                of_peer ? "too many connections are open from this address: close some, or raise "
                          "limits.connectionsPerPeer"
                        : "too many connections are open: try again soon, or raise "
                          "limits.connections"};
    }

    /// Waits for the next request. A busy connection waits with its buffer, which spares a system
    /// call; one that is idle for longer, or one of very many, holds none. False: it ended.
    asio::awaitable<bool> next_request_begins(Duration patience) {
        if (!client_.in().empty()) {
            co_return true;
        }
        const IdlePlace place(context_->idle, client_);
        const TimePoint end = Clock::now() + within(patience);
        error_code ec = asio::error::timed_out;
        if (context_->waiting_with_buffer < waiting_with_buffer_max) {
            const CountedIn counted(context_->waiting_with_buffer);
            client_.set_deadline(std::min(end, Clock::now() + busy_time));
            ec = co_await client_.fill();
        }
        if (ec == asio::error::timed_out && Clock::now() < end && client_.is_open()) {
            client_.set_deadline(end);
            ec = co_await client_.fill_when_readable();
        }
        client_.set_deadline(TimePoint::max());
        co_return !ec && client_.is_open();
    }

    /// The head, or what is wrong with it, from what has come; nullopt: more is needed.
    std::optional<Result<RequestHead>> look_for_head(HeadScanner& scanner) {
        auto scan = scanner.scan(client_.in().data());
        if (scan.state == HeadScan::State::refused) {
            return Result<RequestHead>(std::move(*scan.error));
        }
        if (scan.state != HeadScan::State::complete) {
            return std::nullopt;
        }
        auto head = parse_request_head(scanner.clean(client_.in().data()));
        if (head) {
            client_.in().consume(scan.bytes);
        }
        return head;
    }

    /// `cancelled` when the client ended the connection before or in the middle of a head.
    asio::awaitable<Result<RequestHead>> read_head(HeadScanner& scanner) {
        client_.set_deadline(Clock::now() + within(config_->limits.head_timeout));
        while (true) {
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
            auto head = look_for_head(scanner);
            if (head) {
                client_.set_deadline(TimePoint::max());
                co_return std::move(*head);
            }
        }
    }

    /// After a framing error nothing that follows on this connection can be trusted.
    asio::awaitable<void> refuse_connection(Error error) {
        const auto id = context_->request_ids.make();
        spdlog::info("request refused req={} client={} status={} reason=\"{}\"",
                     std::string_view(id.data(), id.size()), peer_,
                     answer_of(error, nullptr).status, log::clean(error.detail));
        co_await answer_and_close(std::move(error), id);
    }

    asio::awaitable<void> answer_and_close(Error error, api::RequestIds::Text id) {
        const Answer answer = answer_of(error, nullptr);
        RequestHead request;  // as far as it decides how to answer
        request.method = client_.in().data().starts_with("HEAD ") ? "HEAD" : "GET";
        AnswerStamp stamp;
        stamp.request_id = {id.data(), id.size()};
        const bool sent = co_await write_answer(client_, answer, &request, stamp, false,
                                                config_->limits.write_timeout);
        if (sent) {
            co_await linger_and_close(client_);
        }
    }

    /// One request. True when the connection can serve another.
    asio::awaitable<bool> serve(const RequestHead& head) {
        config_ = context_->fleet.config();  // another one, perhaps, than while the client was idle
        context_->profile.follow(*config_);
        const TimePoint begun = Clock::now();
        ++context_->requests;
        const auto made_id = context_->request_ids.make();
        const std::string_view id(made_id.data(), made_id.size());
        const api::Caller caller =
            context_->access(config_).caller(head, peer_, client_.tls() != nullptr, id);
        Account account;
        Exchange exchange(client_, head, caller, *context_, config_);
        const Dispatch dispatch(*context_, config_, head, caller);
        Step step = dispatch.first(account.model);
        if (const auto* by_body = std::get_if<NamedByBody>(&step)) {
            auto name = exchange.find_model_now();
            if (!name) {
                name = co_await exchange.find_model();
            }
            step = dispatch.named(*by_body, *name, exchange.body_is_json(), account.model);
        }
        bool keep_alive = false;
        if (auto* forward = std::get_if<Forward>(&step)) {
            RelayOutcome outcome = co_await run(*forward, exchange);
            if (exchange.has_begun()) {
                co_await exchange.end_begun(outcome);
            }
            keep_alive = close_account(outcome, account);
            if (must_answer(outcome)) {
                step = *outcome.error;
            } else if (!outcome.error && !exchange.body_done()) {
                // An early answer: a reset would take it from a client that still sends.
                co_await linger_and_close(client_);
            }
        } else if (const auto* control = std::get_if<ToControl>(&step)) {
            api::Control room(*context_, config_, head, exchange);
            auto answer = co_await room.answer(control->match, account.model);
            step = answer ? Step(std::move(*answer)) : Step(answer.error());
        }
        if (const auto* error = std::get_if<Error>(&step)) {
            keep_alive = co_await fail(*error, head, caller, exchange, account);
        } else if (const auto* answer = std::get_if<Answer>(&step)) {
            keep_alive = co_await reply(*answer, head, caller, exchange, account);
        }
        const auto took = std::chrono::duration_cast<Duration>(Clock::now() - begun);
        log::access().info(
            "request req={} client={} method={} path={} model={} status={} bytes={}{} ms={}",
            caller.id, caller.sender.client, log::clean(head.method, 32),
            log::clean(path_of(head.target), 256), log::value(account.model, 128), account.status,
            account.bytes, account.more, took.count());
        co_return keep_alive;
    }

    /// Not a coroutine itself: it gives that of the exchange.
    static asio::awaitable<RelayOutcome> run(Forward& forward, Exchange& exchange) {
        const Destination& to = forward.to;
        exchange.set_metered(forward.metered);
        exchange.set_use(forward.use);
        if (forward.renames) {
            exchange.set_names(to.name, to.sent_name);
        }
        return to.model != nullptr ? exchange.run(*to.model, std::move(forward.target))
                                   : exchange.run_on_peer(*to.peer, std::move(forward.target));
    }

    /// The client waits for an answer that no server gave.
    static bool must_answer(const RelayOutcome& outcome) {
        return outcome.error && !outcome.head_sent && !outcome.error->is(Errc::cancelled);
    }

    /// True when the connection can serve another request.
    static bool close_account(const RelayOutcome& outcome, Account& account) {
        account.status = outcome.status;
        account.bytes = outcome.bytes;
        if (outcome.tunnel) {
            account.bytes = outcome.tunnel->to_client;
            account.more = log_fields(*outcome.tunnel);
        }
        account.more += log_fields(outcome.usage);
        if (!outcome.upstream_error.empty()) {
            account.more += " reason=\"" + log::clean(outcome.upstream_error) + "\"";
        }
        if (!outcome.error) {
            return outcome.client_keep_alive;
        }
        if (outcome.error->is(Errc::cancelled)) {
            account.status = 499;
        } else if (outcome.head_sent) {  // the answer was cut: so is the connection
            spdlog::warn("answer cut model={} reason=\"{}\"", log::value(account.model, 128),
                         log::clean(outcome.error->detail, 2048));
        }
        return false;
    }

    asio::awaitable<bool> fail(const Error& error, const RequestHead& head,
                               const api::Caller& caller, Exchange& exchange, Account& account) {
        if (error.is(Errc::cancelled)) {
            account.status = 499;
            co_return false;
        }
        const Answer answer = answer_of(error, &head);
        if (answer.status >= 500) {
            spdlog::warn("request failed status={} model={} reason=\"{}\"", answer.status,
                         log::value(account.model, 128), log::clean(error.detail, 2048));
        }
        co_return co_await reply(answer, head, caller, exchange, account);
    }

    /// Sends an answer of our own. The connection goes on only when the body was read to its end.
    asio::awaitable<bool> reply(const Answer& answer, const RequestHead& head,
                                const api::Caller& caller, Exchange& exchange, Account& account) {
        account.status = static_cast<unsigned>(answer.status);
        account.bytes = answer.body.size();
        const bool clean = exchange.skip_rest();
        const bool keep_alive = clean && head.keep_alive && !context_->draining;
        const AnswerStamp stamp = caller.stamp();
        if (answer.source) {
            const StreamedAnswer done = co_await write_stream(
                client_, answer, head, stamp, keep_alive, config_->limits.write_timeout);
            account.bytes = done.bytes;
            co_return done.complete&& keep_alive;
        }
        const bool sent = co_await write_answer(client_, answer, &head, stamp, keep_alive,
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
    Seats::Seat seat_;
};

}  // namespace

const api::AccessRules& SessionContext::access(const std::shared_ptr<const Config>& config) {
    if (!access_ || access_->config() != config) {
        access_.emplace(config, own_host_name());
    }
    return *access_;
}

const PathPatterns& SessionContext::ignored_paths(const std::shared_ptr<const Config>& config) {
    if (patterns_of_ != config) {
        patterns_ = PathPatterns(config->ignore_paths);
        patterns_of_ = config;
    }
    return patterns_;
}

asio::awaitable<void> run_session(Socket socket, std::unique_ptr<TlsLayer> tls, std::string peer,
                                  Seats::Seat seat, std::shared_ptr<SessionContext> context) {
    Session session(std::move(socket), std::move(tls), std::move(peer), std::move(seat),
                    std::move(context));
    co_await session.run();
}

}  // namespace corral::http
