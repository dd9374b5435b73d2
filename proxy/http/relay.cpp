#include "proxy/http/relay.hpp"

#include "proxy/http/chunked.hpp"
#include "proxy/http/loading_stream.hpp"

#include <boost/asio/error.hpp>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::http {
namespace {

/// A stream that was silent for longer is expected to stay so for a while.
constexpr Duration stream_busy_time{1'000};
constexpr int interim_answers_max = 16;  ///< 1xx heads before the real one
/// Of an answer that is told as an error.
constexpr std::size_t unfit_body_bytes_max = 64UL * 1024;
constexpr Duration unfit_body_patience{5'000};

Error upstream_ended(const error_code& ec, std::string_view when) {
    if (ec == asio::error::timed_out) {
        return {Errc::timed_out, Blame::upstream, "the model's server did not answer in time"};
    }
    return {Errc::upstream_closed, Blame::upstream,
            "the model's server ended the connection " + std::string(when) +
                (ec == asio::error::eof ? "" : " (" + ec.message() + ")")};
}

/// The heads of an answer as their bytes come in, checked: interim ones, then the final one.
class AnswerHead {
public:
    AnswerHead(Wire& upstream, const RequestHead& request, const Limits& limits)
        : upstream_(upstream), scanner_(limits, HeadOf::response) {
        context_.request_method = request.method;
        context_.upgrade = request.upgrade;
    }

    /// Looks at what was read; nullopt: more has to come.
    [[nodiscard]] std::optional<Result<ResponseHead>> look() {
        auto scan = scanner_.scan(upstream_.in().data());
        if (scan.state == HeadScan::State::refused) {
            return Result<ResponseHead>(std::move(*scan.error));
        }
        if (scan.state != HeadScan::State::complete) {
            return std::nullopt;
        }
        auto head = parse_response_head(scanner_.clean(upstream_.in().data()), context_);
        upstream_.in().consume(scan.bytes);
        if (head && head->is_interim()) {
            scanner_.restart();
            if (++interim_ > interim_answers_max) {
                return Result<ResponseHead>(
                    Error(Errc::upstream_malformed, Blame::upstream,
                          "the model's server sends one interim answer after the other"));
            }
        }
        return head;
    }

    [[nodiscard]] bool interim_seen() const noexcept { return interim_ > 0; }

private:
    Wire& upstream_;
    ResponseContext context_;
    HeadScanner scanner_;
    int interim_ = 0;
};

Error head_not_read(const error_code& ec) {
    if (ec == asio::error::no_buffer_space) {
        return {Errc::upstream_malformed, Blame::upstream, "the head of the answer is too large"};
    }
    return upstream_ended(ec, "before it answered");
}

/// True for what the client should see of it (RFC 9110 §15.2): 100 is between us and the server,
/// and what came before HTTP/1.1 does not know of the others.
bool is_for_client(const ResponseHead& interim, const RequestHead& request, bool has_begun) {
    return interim.status != 100 && request.minor_version >= 1 && !has_begun;
}

asio::awaitable<error_code> pass_on_interim(Wire& client, const ResponseHead& head,
                                            Duration write_timeout) {
    const ResponseEdit edit;
    const auto text = serialize_response_head(head, edit);
    if (!text) {
        co_return error_code();  // it may be missed
    }
    const std::array<asio::const_buffer, 1> buffers{asio::buffer(*text)};
    client.set_write_deadline(Clock::now() + write_timeout);
    const auto ec = co_await client.write(buffers);
    client.set_write_deadline(TimePoint::max());
    co_return ec;
}

/// How the body goes to this client, given how it comes.
Framing client_framing(const Framing& upstream, const RequestHead& request) {
    const bool has_length =
        upstream.kind != BodyKind::chunked && upstream.kind != BodyKind::until_close;
    return has_length ? upstream : stream_framing(request);
}

/// Whether the answer can go on in an event stream that has begun.
bool is_event_stream(const ResponseHead& head) {
    constexpr std::string_view type = "text/event-stream";
    const auto coding = head.fields.find("content-encoding").value_or("identity");
    return head.status == 200 && equals_no_case(coding, "identity") &&
           equals_no_case(head.fields.find("content-type").value_or("").substr(0, type.size()),
                          type);
}

/// An answer that cannot, as an error; of its body what comes soon.
asio::awaitable<Error> read_unfit(Wire& upstream, const ResponseHead& head) {
    BodyReader body(upstream, head.framing, Blame::upstream);
    std::vector<Piece> pieces;
    std::string text;
    upstream.set_deadline(Clock::now() + unfit_body_patience);
    while (text.size() < unfit_body_bytes_max) {
        pieces.clear();
        if (!body.take(pieces)) {
            break;
        }
        for (const Piece& piece : pieces) {
            text.append(piece.payload);
        }
        if (body.starved()) {
            const auto ec = co_await upstream.fill();
            if (ec) {
                break;
            }
        } else if (body.done()) {
            break;
        }
    }
    co_return unfit_answer(head.status, head.fields.find("content-type").value_or(""), text);
}

/// What the client gets for this head.
ResponseEdit edit_for(const ResponseHead& head, const RequestHead& request, bool keep_alive,
                      bool has_begun) {
    ResponseEdit edit;
    edit.framing = has_begun ? stream_framing(request) : client_framing(head.framing, request);
    edit.keep_alive = keep_alive && edit.framing.kind != BodyKind::until_close;
    edit.client_minor_version = request.minor_version;
    edit.upgrade = head.status == 101;
    return edit;
}

}  // namespace

Framing stream_framing(const RequestHead& request) noexcept {
    Framing out;
    out.kind = request.minor_version >= 1 ? BodyKind::chunked : BodyKind::until_close;
    return out;
}

Meter::Meter(const ResponseHead& head) {
    if (head.status == 200) {
        tap_ = StreamTap(head.fields.find("content-type").value_or(""),
                         head.fields.find("content-encoding").value_or(""));
    } else {
        excerpt_ = std::make_unique<ErrorExcerpt>();
    }
}

void Meter::feed(std::span<const Piece> pieces) {
    for (const Piece& piece : pieces) {
        excerpt_ ? excerpt_->feed(piece.payload) : tap_.feed(piece.payload);
    }
}

void Meter::finish(RelayOutcome& out) {
    out.usage = tap_.finish();
    if (excerpt_) {
        out.upstream_error = excerpt_->message();
    }
}

asio::awaitable<void> Relay::begin(const RequestHead& request, AnswerStamp stamp, bool keep_alive) {
    AnswerHead reader(upstream_, request, limits_);
    auto head = reader.look();
    while (!head || (*head && (*head)->is_interim())) {
        out_.interim_seen = reader.interim_seen();
        if (!head) {
            const auto ec = co_await upstream_.fill();
            if (ec) {
                out_.error = head_not_read(ec);
                co_return;
            }
        } else if (is_for_client(**head, request, out_.head_sent)) {
            const auto ec = co_await pass_on_interim(client_, **head, limits_.write_timeout);
            if (ec) {
                out_.error = Error(Errc::cancelled, Blame::client, ec.message());
                co_return;
            }
        }
        head = reader.look();
    }
    if (!*head) {
        out_.error = head->error();
        co_return;
    }
    const ResponseHead& answer = **head;
    upstream_.set_deadline(TimePoint::max());
    out_.status = answer.status;
    if (out_.head_sent && !is_event_stream(answer)) {
        out_.error = co_await read_unfit(upstream_, answer);
        co_return;
    }
    answer_with(answer, request, stamp, keep_alive);
}

void Relay::answer_with(const ResponseHead& head, const RequestHead& request, AnswerStamp stamp,
                        bool keep_alive) {
    const bool has_begun = out_.head_sent;
    ResponseEdit edit = edit_for(head, request, keep_alive, has_begun);
    edit.stamp = stamp;
    auto head_text = serialize_response_head(head, edit);
    if (!head_text) {
        out_.error = head_text.error();
        return;
    }
    if (has_begun) {
        head_text->clear();
    }
    if (edit.upgrade) {
        client_.unwatch();  // from its 101 on, a client that ends its side has not gone
    }
    if (out_.metered) {
        meter_ = Meter(head);
    }
    body_.emplace(upstream_, head.framing, Blame::upstream);
    outgoing_ = Outgoing(edit.framing.kind == BodyKind::chunked, std::move(*head_text));
    stream_ = head.framing.kind != BodyKind::content_length;
    upgrade_ = edit.upgrade;
    // Nothing but a reset tells a client without framing that the answer was cut.
    cut_by_reset_ = edit.framing.kind == BodyKind::until_close && !has_begun;
    client_keep_alive_ = edit.keep_alive;
    upstream_keep_alive_ = head.keep_alive;
}

/// What has come and is to be sent now.
std::span<asio::const_buffer> Relay::next() {
    pieces_.clear();
    if (auto taken = body_->take(pieces_); !taken) {
        out_.error = taken.error();
        return {};
    }
    return outgoing_.gather(pieces_, body_->done());
}

void Relay::client_failed(const error_code& ec) {
    if (ec == asio::error::timed_out) {
        client_.close(true);  // or the system would keep what was not taken, for minutes
    }
    out_.error = Error(Errc::cancelled, Blame::client, ec.message());
}

/// Which may be the end of a body that lasts as long as the connection.
void Relay::upstream_failed(const error_code& ec) {
    if (ec != asio::error::eof) {
        out_.error = upstream_ended(ec, "in the middle of its answer");
    } else if (auto ended = body_->end_of_input(); !ended) {
        out_.error = ended.error();
    }
}

/// Takes down what was passed on; false when that was all.
bool Relay::account() {
    if (out_.metered) {
        meter_.feed(pieces_);
    }
    out_.bytes = body_->bytes();
    return !body_->done();
}

/// A stream may be silent for long: neither side holds a buffer then.
Wire::Buffer Relay::prepare_wait(bool silent) {
    if (!stream_) {
        return Wire::Buffer::held;
    }
    client_.watch_without_buffer();
    if (silent || body_->bytes() == 0) {
        return Wire::Buffer::none;
    }
    upstream_.set_deadline(Clock::now() + stream_busy_time);
    return Wire::Buffer::held;
}

asio::awaitable<void> Relay::go_on() {
    bool goes_on = body_.has_value();
    bool silent = false;  // nothing has come for a while
    while (goes_on) {
        auto left = next();
        if (!left.empty()) {
            out_.head_sent = true;
            auto written = client_.write_now(left);
            if (!written) {
                client_.set_write_deadline(Clock::now() + limits_.write_timeout);
                written = co_await client_.write(left);
                client_.set_write_deadline(TimePoint::max());
            }
            outgoing_.has_left();
            if (*written) {
                client_failed(*written);
            }
        }
        goes_on = !out_.error && account();
        if (!goes_on || !body_->starved()) {
            continue;
        }
        const auto buffer = prepare_wait(silent);
        const error_code ec = co_await upstream_.fill(buffer);
        upstream_.set_deadline(TimePoint::max());
        silent = stream_ && !silent && ec == asio::error::timed_out;
        if (ec && !silent) {
            upstream_failed(ec);
            goes_on = !out_.error;
        }
    }
    end();
}

void Relay::end() {
    if (!body_) {
        return;
    }
    meter_.finish(out_);
    if (upgrade_) {
        if (!out_.error) {
            out_.tunnel.emplace();
        }
        return;
    }
    if (out_.error && cut_by_reset_) {
        client_.close(true);
    }
    out_.client_keep_alive = !out_.error && client_keep_alive_;
    out_.upstream_keep_alive = !out_.error && upstream_keep_alive_ && upstream_.in().empty();
}

}  // namespace corral::http
