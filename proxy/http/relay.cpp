#include "proxy/http/relay.hpp"

#include "proxy/http/body_reader.hpp"
#include "proxy/http/chunked.hpp"
#include "proxy/http/error_excerpt.hpp"
#include "proxy/http/loading_stream.hpp"
#include "proxy/http/outgoing.hpp"
#include "proxy/http/stream_tap.hpp"

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

/// What a metered answer says of itself, read while it passes. Writes it down when it ends, however
/// it ends.
class Meter {
public:
    Meter(const ResponseHead& head, RelayOutcome& out) : out_(out) {
        if (out.metered && head.status == 200) {
            tap_ = StreamTap(head.fields.find("content-type").value_or(""),
                             head.fields.find("content-encoding").value_or(""));
        } else if (out.metered) {
            excerpt_.emplace();
        }
    }
    ~Meter() {
        out_.usage = tap_.finish();
        if (excerpt_) {
            out_.upstream_error = excerpt_->message();
        }
    }
    Meter(const Meter&) = delete;
    Meter& operator=(const Meter&) = delete;

    void feed(std::span<const Piece> pieces) {
        for (const Piece& piece : pieces) {
            excerpt_ ? excerpt_->feed(piece.payload) : tap_.feed(piece.payload);
        }
    }

private:
    RelayOutcome& out_;
    StreamTap tap_;
    std::optional<ErrorExcerpt> excerpt_;
};

/// Head and body to the client, each piece as soon as it is there. What fails stands in `out`.
asio::awaitable<void> relay_message(Wire& upstream, Wire& client, const ResponseHead& head,
                                    Outgoing outgoing, Duration write_timeout, RelayOutcome& out) {
    BodyReader body(upstream, head.framing, Blame::upstream);
    Meter meter(head, out);
    std::vector<Piece> pieces;
    while (true) {
        pieces.clear();
        if (auto taken = body.take(pieces); !taken) {
            out.error = taken.error();
            co_return;
        }
        auto left = outgoing.gather(pieces, body.done());
        if (!left.empty()) {
            out.head_sent = true;
            auto written = client.write_now(left);
            if (!written) {
                client.set_write_deadline(Clock::now() + write_timeout);
                written = co_await client.write(left);
                client.set_write_deadline(TimePoint::max());
            }
            if (*written) {
                if (*written == asio::error::timed_out) {
                    client.close(true);  // or the system would keep what was not taken, for minutes
                }
                out.error = Error(Errc::cancelled, Blame::client, written->message());
                co_return;
            }
        }
        meter.feed(pieces);
        out.bytes = body.bytes();
        if (body.done()) {
            co_return;
        }
        if (!body.starved()) {
            continue;
        }
        error_code ec;
        if (head.framing.kind != BodyKind::content_length) {
            client.watch_without_buffer();  // a stream may be silent for long
            ec = asio::error::timed_out;
            if (body.bytes() > 0) {
                upstream.set_deadline(Clock::now() + stream_busy_time);
                ec = co_await upstream.fill();
                upstream.set_deadline(TimePoint::max());
            }
            if (ec == asio::error::timed_out) {  // and then needs no buffer on this side, either
                ec = co_await upstream.fill_when_readable();
            }
        } else {
            ec = co_await upstream.fill();
        }
        if (ec == asio::error::eof) {
            if (auto ended = body.end_of_input(); !ended) {
                out.error = ended.error();
                co_return;
            }
        } else if (ec) {
            out.error = upstream_ended(ec, "in the middle of its answer");
            co_return;
        }
    }
}

}  // namespace

Framing stream_framing(const RequestHead& request) noexcept {
    Framing out;
    out.kind = request.minor_version >= 1 ? BodyKind::chunked : BodyKind::until_close;
    return out;
}

asio::awaitable<void> relay_answer(Wire& upstream, Wire& client, const RequestHead& request,
                                   AnswerStamp stamp, const Limits& limits, bool keep_alive,
                                   RelayOutcome& out) {
    AnswerHead reader(upstream, request, limits);
    const bool has_begun = out.head_sent;
    auto head = reader.look();
    while (!head || (*head && (*head)->is_interim())) {
        out.interim_seen = reader.interim_seen();
        if (!head) {
            const auto ec = co_await upstream.fill();
            if (ec) {
                out.error = head_not_read(ec);
                co_return;
            }
        } else if (is_for_client(**head, request, has_begun)) {
            const auto ec = co_await pass_on_interim(client, **head, limits.write_timeout);
            if (ec) {
                out.error = Error(Errc::cancelled, Blame::client, ec.message());
                co_return;
            }
        }
        head = reader.look();
    }
    if (!*head) {
        out.error = head->error();
        co_return;
    }
    const ResponseHead& answer = **head;
    upstream.set_deadline(TimePoint::max());
    out.status = answer.status;
    if (has_begun && !is_event_stream(answer)) {
        out.error = co_await read_unfit(upstream, answer);
        co_return;
    }
    ResponseEdit edit = edit_for(answer, request, keep_alive, has_begun);
    edit.stamp = stamp;
    auto head_text = serialize_response_head(answer, edit);
    if (!head_text) {
        out.error = head_text.error();
        co_return;
    }
    if (has_begun) {
        head_text->clear();
    }
    if (edit.upgrade) {
        client.unwatch();  // from its 101 on, a client that ends its side has not gone
    }
    Outgoing outgoing(edit.framing.kind == BodyKind::chunked, std::move(*head_text));
    co_await relay_message(upstream, client, answer, std::move(outgoing), limits.write_timeout,
                           out);
    if (edit.upgrade) {
        if (!out.error) {
            out.tunnel.emplace();
        }
        co_return;
    }
    if (out.error && edit.framing.kind == BodyKind::until_close && !has_begun) {
        client.close(true);  // nothing but a reset tells such a client that the answer was cut
    }
    out.client_keep_alive = !out.error && edit.keep_alive;
    out.upstream_keep_alive = !out.error && answer.keep_alive && upstream.in().empty();
}

}  // namespace corral::http
