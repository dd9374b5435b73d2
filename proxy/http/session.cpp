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

    /// Owns the session. A stream may keep all of these coroutines for hours: what only a step of a
    /// request needs stands in a coroutine or a function of its own.
    static asio::awaitable<void> run(std::unique_ptr<Session> session) {
        Session& self = *session;
        bool goes_on = true;
        if (self.client_.tls() != nullptr) {
            goes_on = co_await self.shake_hands_with_client();
        }
        Duration patience = self.config_->limits.head_timeout;  // for the first byte of all
        while (goes_on && self.client_.is_open() && !self.context_->draining) {
            self.config_ = self.context_->fleet.config();
            goes_on = co_await self.next_request_begins(patience);
            patience = self.config_->limits.keep_alive_timeout;
            if (goes_on && !self.take_head()) {
                goes_on = co_await self.read_head();
            }
            if (goes_on && self.seat_.kind() != Seats::Kind::seat) {
                goes_on = false;
                co_await self.refuse_for_want_of_seat();
            }
            if (goes_on) {
                goes_on = co_await self.serve();
                self.head_.reset();
            }
        }
        log::flush();  // whoever sees the connection end finds in the log why
        self.client_.close();
    }

private:
    /// All that serve() knows of its request.
    struct Request {
        explicit Request(Session& session)
            : made_id(session.context_->request_ids.make()),
              caller(session.context_->access(session.config_)
                         .caller(*session.head_, session.peer_, session.client_.tls() != nullptr,
                                 {made_id.data(), made_id.size()})),
              exchange(session.client_, *session.head_, caller, *session.context_, session.config_),
              dispatch(*session.context_, session.config_, *session.head_, caller) {}

        const TimePoint begun = Clock::now();
        const api::RequestIds::Text made_id;
        const api::Caller caller;
        Account account;
        Exchange exchange;
        const Dispatch dispatch;
        Step step = dispatch.first(account.model);
        bool keep_alive = false;
    };

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
            ec = co_await client_.fill(Wire::Buffer::none);
        }
        client_.set_deadline(TimePoint::max());
        co_return !ec && client_.is_open();
    }

    /// The next head, if what has come is one and it is clean; else read_head() it is.
    bool take_head() {
        HeadScanner scanner(config_->limits, HeadOf::request);
        const auto looked = look_for_head(scanner);
        return looked && *looked;
    }

    /// Whether the head is clean, from what has come; nullopt: more is needed.
    std::optional<Result<void>> look_for_head(HeadScanner& scanner) {
        auto scan = scanner.scan(client_.in().data());
        if (scan.state == HeadScan::State::refused) {
            return Result<void>(std::move(*scan.error));
        }
        if (scan.state != HeadScan::State::complete) {
            return std::nullopt;
        }
        auto head = parse_request_head(scanner.clean(client_.in().data()), config_->h2c_upgrade);
        if (!head) {
            return Result<void>(head.error());
        }
        client_.in().consume(scan.bytes);
        head_ = std::move(*head);
        return Result<void>();
    }

    /// Waits for the rest of it. False: it is not clean, and the client was told so, or the client
    /// ended the connection before or in the middle of it.
    asio::awaitable<bool> read_head() {
        HeadScanner scanner(config_->limits, HeadOf::request);
        client_.set_deadline(Clock::now() + within(config_->limits.head_timeout));
        auto head = look_for_head(scanner);
        while (!head) {
            const auto ec = co_await client_.fill();
            if (ec) {
                head = head_not_read(ec);
            } else {
                head = look_for_head(scanner);
            }
        }
        client_.set_deadline(TimePoint::max());
        if (!*head && !head->error().is(Errc::cancelled)) {
            co_await refuse_connection(head->error());
        }
        co_return head->has_value();
    }

    Error head_not_read(const error_code& ec) {
        if (ec == asio::error::timed_out && !client_.in().empty()) {
            return {Errc::timed_out, Blame::client, "the request's head did not arrive in time"};
        }
        if (ec == asio::error::no_buffer_space) {
            return {Errc::head_too_large, Blame::client, "the head is too large"};
        }
        return {Errc::cancelled, Blame::client, ec.message()};
    }

    asio::awaitable<void> refuse_for_want_of_seat() {
        Error full = no_seat();  // the server says it in the log, for many of them
        const auto id = context_->request_ids.make();
        co_await answer_and_close(std::move(full), id);
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
        stamp.clock = &context_->clock;
        const bool sent = co_await write_answer(client_, answer, &request, stamp, false,
                                                config_->limits.write_timeout);
        if (sent) {
            co_await linger_and_close(client_);
        }
    }

    /// One request, of which the head is there. True when the connection can serve another.
    asio::awaitable<bool> serve() {
        config_ = context_->fleet.config();  // another one, perhaps, than while the client was idle
        context_->profile.follow(*config_);
        ++context_->requests;
        Request request(*this);
        if (std::holds_alternative<NamedByBody>(request.step) && !find_model_now(request)) {
            co_await find_model(request);
        }
        if (auto* forward = std::get_if<Forward>(&request.step)) {
            co_await run(*forward, request.exchange);
            if (request.exchange.has_begun()) {
                co_await request.exchange.end_begun();
            }
            request.keep_alive = close_account(request.exchange.outcome(), request.account);
            if (must_answer(request.exchange.outcome())) {
                request.step = *request.exchange.outcome().error;
            } else if (!request.exchange.outcome().error && !request.exchange.body_done()) {
                // An early answer: a reset would take it from a client that still sends.
                co_await linger_and_close(client_);
            }
        } else if (std::holds_alternative<ToControl>(request.step)) {
            co_await control(request);
        }
        if (std::holds_alternative<Error>(request.step) ||
            std::holds_alternative<Answer>(request.step)) {
            request.keep_alive = co_await answer(request);
        }
        log_request(request);
        co_return request.keep_alive;
    }

    /// Pages that machines ask for again and again are logged when that fails only.
    static bool is_polled(std::string_view path) noexcept {
        return path == "/metrics" || path == "/wol-health" || path.starts_with("/api/performance");
    }

    void log_request(const Request& request) const {
        const Account& account = request.account;
        if (account.status < 400 && is_polled(path_of(head_->target))) {
            return;
        }
        const auto took = std::chrono::duration_cast<Duration>(Clock::now() - request.begun);
        log::access().info(
            "request req={} client={} method={} path={} model={} status={} bytes={}{} ms={}",
            request.caller.id, request.caller.sender.client, log::clean(head_->method, 32),
            log::clean(path_of(head_->target), 256), log::value(account.model, 128), account.status,
            account.bytes, account.more, took.count());
    }

    /// The model that the body names decides what to do. False: more of the body has to come.
    static bool find_model_now(Request& request) {
        const auto name = request.exchange.find_model_now();
        if (name) {
            follow_name(request, *name);
        }
        return name.has_value();
    }

    static asio::awaitable<void> find_model(Request& request) {
        const auto name = co_await request.exchange.find_model();
        follow_name(request, name);
    }

    static void follow_name(Request& request, const Result<std::string>& name) {
        const NamedByBody by_body = std::get<NamedByBody>(std::move(request.step));
        request.step = request.dispatch.named(by_body, name, request.exchange.body_is_json(),
                                              request.account.model);
    }

    asio::awaitable<void> control(Request& request) {
        const ToControl control = std::get<ToControl>(std::move(request.step));
        api::Control room(*context_, config_, *head_, request.exchange);
        auto answer = co_await room.answer(control.match, request.account.model);
        if (answer) {
            request.step = std::move(*answer);
        } else {
            request.step = answer.error();
        }
    }

    /// Not a coroutine itself: it gives that of the exchange.
    static asio::awaitable<void> run(Forward& forward, Exchange& exchange) {
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

    /// Sends an answer of our own, or an error as one.
    asio::awaitable<bool> answer(Request& request) {
        if (const auto* error = std::get_if<Error>(&request.step)) {
            if (error->is(Errc::cancelled)) {
                request.account.status = 499;
                co_return false;
            }
            Answer told = answer_of(*error, &*head_);
            if (told.status >= 500) {
                spdlog::warn("request failed status={} model={} reason=\"{}\"", told.status,
                             log::value(request.account.model, 128),
                             log::clean(error->detail, 2048));
            }
            request.step = std::move(told);
        }
        const bool keep_alive = co_await reply(std::get<Answer>(request.step), request);
        co_return keep_alive;
    }

    /// The connection goes on only when the body was read to its end.
    asio::awaitable<bool> reply(const Answer& answer, Request& request) {
        request.account.status = static_cast<unsigned>(answer.status);
        request.account.bytes = answer.body.size();
        const bool clean = request.exchange.skip_rest();
        const bool keep_alive = clean && head_->keep_alive && !context_->draining;
        const AnswerStamp stamp = request.caller.stamp(context_->clock);
        if (answer.source) {
            const StreamedAnswer done = co_await write_stream(
                client_, answer, *head_, stamp, keep_alive, config_->limits.write_timeout);
            request.account.bytes = done.bytes;
            co_return done.complete&& keep_alive;
        }
        const bool sent = co_await write_answer(client_, answer, &*head_, stamp, keep_alive,
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
    std::optional<RequestHead> head_;  ///< of the request that is being served
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
    return Session::run(std::make_unique<Session>(
        std::move(socket), std::move(tls), std::move(peer), std::move(seat), std::move(context)));
}

}  // namespace corral::http
