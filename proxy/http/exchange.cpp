#include "proxy/http/exchange.hpp"

#include "proxy/http/chunked.hpp"
#include "proxy/http/error_body.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace corral::http {
namespace {

using namespace asio::experimental::awaitable_operators;

constexpr std::string_view continue_answer = "HTTP/1.1 100 Continue\r\n\r\n";

/// The request is sent: from now on the answer's head has this long to come, if it has not.
void bound_wait_for_head(Wire& upstream, const RelayOutcome& out, Duration head_timeout) {
    if (head_timeout > Duration::zero() && out.status == 0) {
        upstream.set_deadline(Clock::now() + head_timeout);
    }
}

Error too_large(std::size_t bytes_max, bool for_filters) {
    const auto bytes = std::to_string(bytes_max) + " bytes";
    std::string detail =
        for_filters
            ? "the body is larger than " + bytes +
                  ", and the model's filters need the whole of it: send less, or"
            : "the first " + bytes + " of the body do not name a model: put \"model\" first, or";
    return {Errc::body_too_large, Blame::client, detail + " raise limits.body_buffered"};
}

Error body_read_error(const error_code& ec) {
    if (ec == asio::error::timed_out) {
        return {Errc::timed_out, Blame::client, "the request's body did not arrive in time"};
    }
    return client_left();
}

}  // namespace

Error client_left() {
    return {Errc::cancelled, Blame::client, "the client closed the connection"};
}

Exchange::Exchange(Wire& client, const RequestHead& head, const api::Caller& caller,
                   SessionContext& context, std::shared_ptr<const Config> config)
    : client_(client),
      head_(head),
      caller_(caller),
      context_(context),
      config_(std::move(config)),
      body_(client, head.framing, Blame::client),
      scanner_(std::make_unique<BodyModel>(head.fields)),
      leaves_(head.framing) {}

Exchange::~Exchange() {
    release_held();
}

std::optional<Result<std::string>> Exchange::find_model_now() {
    for (const Field field : head_.fields) {
        if (equals_no_case(field.name, "content-encoding") &&
            !equals_no_case(field.value, "identity")) {
            return Result<std::string>(
                refuse(HttpStatus::unsupported_media_type,
                       "a request body with Content-Encoding is not supported: send it plain"));
        }
    }
    scanning_ = true;
    while (!scanner_->has_model() && !body_.done()) {
        if (body_.starved()) {
            return std::nullopt;
        }
        pieces_.clear();
        auto taken = body_.take(pieces_);
        if (taken) {
            taken = scan_pieces();
        }
        if (taken) {
            taken = hold_pieces(Hold::until_named);
        }
        if (!taken) {
            return Result<std::string>(taken.error());
        }
    }
    if (scanner_->has_model() && !scanner_->model().empty()) {
        return Result<std::string>(std::string(scanner_->model()));
    }
    return Result<std::string>(
        Error(Errc::model_missing, Blame::client,
              "no model id could be identified: send \"model\" in a JSON body with "
              "Content-Type: application/json"));
}

asio::awaitable<Result<std::string>> Exchange::find_model() {
    auto found = find_model_now();
    while (!found) {
        const auto more = co_await read_more();
        if (!more) {
            co_return more.error();
        }
        found = find_model_now();
    }
    co_return std::move(*found);
}

asio::awaitable<Result<void>> Exchange::next_pieces() {
    pieces_.clear();
    while (true) {
        if (auto taken = body_.take(pieces_); !taken) {
            co_return taken.error();
        }
        if (!pieces_.empty() || body_.done()) {
            co_return Result<void>();
        }
        const auto more = co_await read_more();
        if (!more) {
            co_return more.error();
        }
    }
}

/// More bytes of the body, within its deadline; a client that waits for it is told to go on.
asio::awaitable<Result<void>> Exchange::read_more() {
    if (head_.expect_continue && !continued_) {
        continued_ = true;
        const std::array<asio::const_buffer, 1> go_on{asio::buffer(continue_answer)};
        client_.set_write_deadline(Clock::now() + config_->limits.write_timeout);
        const auto unwritten = co_await client_.write(go_on);
        client_.set_write_deadline(TimePoint::max());
        if (unwritten) {
            co_return client_left();
        }
    }
    const TimePoint begun = Clock::now();
    client_.set_deadline(pace_.deadline(begun, body_.bytes(), config_->limits));
    const auto ec = co_await client_.fill();
    client_.set_deadline(TimePoint::max());
    pace_.waited(Clock::now() - begun);
    if (ec) {
        co_return body_read_error(ec);
    }
    co_return Result<void>();
}

Result<void> Exchange::scan_pieces() {
    if (!scanning_) {
        return {};
    }
    for (const auto& piece : pieces_) {
        if (scanner_->feed(piece.payload) == Verdict::malformed) {
            return scanner_->error();
        }
    }
    // No body at all names no model, whatever its framing; it is not malformed.
    if (body_.done() && body_.bytes() != 0 && scanner_->finish() == Verdict::malformed) {
        return scanner_->error();
    }
    return {};
}

Result<void> Exchange::hold_pieces(Hold why) {
    const auto& limits = config_->limits;
    for (const auto& [piece, chunk] : pieces_) {
        if (held_.size() + piece.size() > limits.body_buffered) {
            return too_large(limits.body_buffered, why == Hold::for_filters);
        }
        if (context_.bytes_held + piece.size() > limits.body_buffered_total) {
            return Error(Errc::overloaded, Blame::internal,
                         "too many request bodies have to be held at once "
                         "(limits.body_buffered_total)");
        }
        held_.append(piece);
        held_counted_ += piece.size();
        context_.bytes_held += piece.size();
    }
    return {};
}

void Exchange::release_held() noexcept {
    context_.bytes_held -= held_counted_;
    held_counted_ = 0;
    std::string().swap(held_);
}

bool Exchange::skip_rest() {
    while (!body_.done() && !body_.starved()) {
        pieces_.clear();
        if (!body_.take(pieces_)) {
            return false;
        }
    }
    return body_.done();
}

ConnectOptions Exchange::connect_options(const UpstreamTimeouts& timeouts) const noexcept {
    const auto bounded = [most = config_->limits.connect_timeout](Duration own) {
        return own > Duration::zero() ? std::min(own, most) : most;
    };
    ConnectOptions out;
    out.timeout = bounded(timeouts.connect);
    out.tls_timeout = bounded(timeouts.tls_handshake);
    out.keepalive = timeouts.keepalive;
    out.tls = &context_.tls;
    return out;
}

bool Exchange::write_head(const RequestEdit& edit) {
    auto text = serialize_request_head(head_, edit);
    if (!text) {
        out_.error = text.error();
        return false;
    }
    head_text_ = std::move(*text);
    return true;
}

bool Exchange::may_repeat(Wire& upstream) const {
    const bool untouched = out_.error && out_.error->is(Errc::upstream_closed) &&
                           out_.status == 0 && !out_.interim_seen && upstream.in().empty();
    return untouched && body_.done() && keeps_body_ && !client_gone_;
}

void Exchange::keep(Wire& upstream, const PoolKey& key, PoolRule rule) {
    if (out_.error || !body_.done()) {
        return;
    }
    if (out_.upstream_keep_alive) {
        context_.pool.give(key, std::move(upstream), rule);
    } else {
        upstream.close(true);  // all is said: no need for a port in TIME_WAIT
    }
}

/// What every upstream gets: the client's head, its credentials only where they are not ours.
RequestEdit Exchange::edit_for(std::string_view target) const {
    static constexpr std::array<std::string_view, 1> always_drop{"expect"};
    static constexpr std::array<std::string_view, 3> drop_with_keys{"expect", "authorization",
                                                                    "x-api-key"};
    RequestEdit edit;
    edit.target = target;
    edit.sender = &caller_.sender;
    edit.request_id = caller_.id;
    edit.framing = leaves_;
    edit.upgrade = !head_.upgrade.empty();
    edit.drop = config_->api_keys.empty() ? std::span<const std::string_view>(always_drop)
                                          : std::span<const std::string_view>(drop_with_keys);
    if (has_begun()) {  // with a head that names no coding
        static constexpr std::array<Field, 1> plain{Field{"Accept-Encoding", "identity"}};
        edit.set = plain;
    }
    return edit;
}

/// One request, whose head is head_text_, and its answer. `head_timeout` bounds the time from the
/// request's end to the answer's head; 0: no bound.
asio::awaitable<void> Exchange::converse(Wire& upstream, Duration head_timeout) {
    if (head_timeout <= Duration::zero()) {
        head_timeout = config_->limits.response_header_timeout;
    }
    out_ = RelayOutcome();
    out_.metered = metered_;
    out_.head_sent = has_begun();
    client_.watch(
        [this, &upstream] {
            client_gone_ = true;
            upstream.close();
        },
        body_.done() ? Wire::Watch::read_ahead : Wire::Watch::look);
    Outgoing outgoing(leaves_.kind == BodyKind::chunked, std::move(head_text_));
    auto left = outgoing.gather(held_, body_.done());
    auto written = upstream.write_now(left);
    if (!written) {
        written = co_await upstream.write(left);
    }
    outgoing.has_left();
    Relay relay(upstream, client_, config_->limits, out_);
    // A failing upstream is left to the relay, which may find an answer there.
    if (body_.done() || *written) {
        bound_wait_for_head(upstream, out_, head_timeout);
        co_await begin(relay);
        if (out_.status != 0) {  // it was answered, which may take long, and is not sent again
            release_held();
            scanner_.reset();
        }
        co_await relay.go_on();
        end_unread_request(upstream);
    } else {
        release_held();  // from here on it cannot be sent twice
        keeps_body_ = false;
        // Both directions at once: an upstream may answer before it has read all.
        co_await (send_rest_then_bound(upstream, outgoing, head_timeout) &&
                  relay_into(relay, upstream));
    }
    client_.unwatch();
    if (client_gone_ && out_.error) {
        out_.error = client_left();
    } else if (refusal_) {
        out_.error = std::move(*refusal_);
    }
}

/// The rest of the body, each piece only after it was scanned.
asio::awaitable<void> Exchange::send_rest(Wire& upstream, Outgoing& outgoing) {
    while (!body_.done()) {
        auto read = co_await next_pieces();
        if (read) {
            read = scan_pieces();
        }
        if (answered_) {
            co_return;
        }
        if (!read) {
            refusal_ = std::make_unique<Error>(read.error());
            upstream.close();
            co_return;
        }
        auto left = outgoing.gather(pieces_, body_.done());
        auto written = upstream.write_now(left);
        if (!written) {
            written = co_await upstream.write(left);
        }
        if (*written) {
            co_return;
        }
    }
}

asio::awaitable<void> Exchange::send_rest_then_bound(Wire& upstream, Outgoing& outgoing,
                                                     Duration head_timeout) {
    co_await send_rest(upstream, outgoing);
    bound_wait_for_head(upstream, out_, head_timeout);
}

/// Not a coroutine itself: it gives the relay's.
asio::awaitable<void> Exchange::begin(Relay& relay) {
    const bool keep_alive = head_.keep_alive && !context_.draining;
    return relay.begin(head_, caller_.stamp(context_.clock), keep_alive);
}

asio::awaitable<void> Exchange::relay_into(Relay& relay, Wire& upstream) {
    co_await begin(relay);
    co_await relay.go_on();
    end_unread_request(upstream);
}

/// When the answer has ended, nobody needs the rest of the request.
void Exchange::end_unread_request(Wire& upstream) {
    if (!body_.done()) {
        answered_ = true;
        out_.client_keep_alive = false;
        out_.upstream_keep_alive = false;
        upstream.close();
        error_code ignored;
        client_.socket().cancel(ignored);
    }
}

}  // namespace corral::http
