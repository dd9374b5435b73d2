#include "proxy/http/relay.hpp"

#include "proxy/http/body_reader.hpp"
#include "proxy/http/chunked.hpp"
#include "proxy/http/header_edit.hpp"

#include <boost/asio/error.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::http {
namespace {

constexpr int interim_answers_max = 16;  ///< 1xx heads before the real one

Error upstream_ended(const error_code& ec, std::string_view when) {
    if (ec == asio::error::timed_out) {
        return {Errc::timed_out, Blame::upstream, "the model's server did not answer in time"};
    }
    return {Errc::upstream_closed, Blame::upstream,
            "the model's server ended the connection " + std::string(when) +
                (ec == asio::error::eof ? "" : " (" + ec.message() + ")")};
}

/// The final head: checked, interim ones passed over.
asio::awaitable<Result<ResponseHead>> read_head(Wire& upstream, const RequestHead& request,
                                                const Limits& limits) {
    ResponseContext context;
    context.request_method = request.method;
    context.upgrade_requested = !request.upgrade.empty();
    HeadScanner scanner(limits, HeadOf::response);
    int interim = 0;
    while (true) {
        auto scan = scanner.scan(upstream.in().data());
        if (scan.state == HeadScan::State::refused) {
            co_return std::move(*scan.error);
        }
        if (scan.state == HeadScan::State::complete) {
            const auto text = upstream.in().data().substr(0, scan.bytes);
            auto head = parse_response_head(text, context, limits);
            upstream.in().consume(scan.bytes);
            if (!head || !head->is_interim()) {
                co_return head;
            }
            if (++interim > interim_answers_max) {
                co_return Error(Errc::upstream_malformed, Blame::upstream,
                                "the model's server sends one interim answer after the other");
            }
            scanner.restart();
            continue;
        }
        if (const auto ec = co_await upstream.fill(); ec == asio::error::no_buffer_space) {
            co_return Error(Errc::upstream_malformed, Blame::upstream,
                            "the head of the answer is too large");
        } else if (ec) {
            co_return upstream_ended(ec, "before it answered");
        }
    }
}

/// What one write to the client is made of: head, pieces with their framing, last chunk.
class Gather {
public:
    explicit Gather(bool chunked) : chunked_(chunked) {}

    void clear() {
        buffers_.clear();
        prefixes_.clear();
        prefixes_.reserve(BodyReader::pieces_max);  // views into them must stay
    }
    void add(std::string_view bytes) { buffers_.emplace_back(bytes.data(), bytes.size()); }
    void add_piece(std::string_view piece) {
        if (chunked_) {
            prefixes_.emplace_back(piece.size());
            add(prefixes_.back().view());
        }
        add(piece);
        if (chunked_) {
            add(chunk_suffix);
        }
    }
    void add_end() {
        if (chunked_) {
            add(last_chunk);
        }
    }
    [[nodiscard]] std::span<const asio::const_buffer> buffers() const noexcept { return buffers_; }

private:
    bool chunked_;
    std::vector<asio::const_buffer> buffers_;
    std::vector<ChunkPrefix> prefixes_;
};

/// How the body goes to this client, given how it comes.
Framing client_framing(const Framing& upstream, const RequestHead& request) {
    Framing out = upstream;
    if (upstream.kind == BodyKind::chunked || upstream.kind == BodyKind::until_close) {
        out.kind = request.minor_version >= 1 ? BodyKind::chunked : BodyKind::until_close;
    }
    return out;
}

/// How one answer travels: its framing on the way in, and what the client gets.
struct Passage {
    Framing comes;
    bool leaves_chunked = false;
    std::string head_text;
    Duration write_timeout{0};
};

/// Head and body to the client, each piece as soon as it is there. What fails stands in `out`.
asio::awaitable<void> relay_message(Wire& upstream, Wire& client, const Passage& passage,
                                    RelayOutcome& out) {
    BodyReader body(upstream, passage.comes, Blame::upstream);
    Gather gather(passage.leaves_chunked);
    std::vector<std::string_view> pieces;
    while (true) {
        pieces.clear();
        gather.clear();
        if (auto taken = body.take(pieces); !taken) {
            out.error = taken.error();
            co_return;
        }
        if (!out.head_sent) {
            gather.add(passage.head_text);
        }
        for (const auto piece : pieces) {
            gather.add_piece(piece);
        }
        if (body.done()) {
            gather.add_end();
        }
        if (!gather.buffers().empty()) {
            client.set_write_deadline(Clock::now() + passage.write_timeout);
            out.head_sent = true;
            const auto unwritten = co_await client.write(gather.buffers());
            client.set_write_deadline(TimePoint::max());
            if (unwritten) {
                out.error = Error(Errc::cancelled, Blame::client, unwritten.message());
                co_return;
            }
        }
        out.bytes = body.bytes();
        if (body.done()) {
            co_return;
        }
        if (!body.starved()) {
            continue;
        }
        const auto ec = co_await upstream.fill();
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

asio::awaitable<void> relay_answer(Wire& upstream, Wire& client, const RequestHead& request,
                                   const Limits& limits, bool keep_alive, RelayOutcome& out) {
    auto head = co_await read_head(upstream, request, limits);
    if (!head) {
        out.error = head.error();
        co_return;
    }
    upstream.set_deadline(TimePoint::max());
    out.status = head->status;
    ResponseEdit edit;
    edit.framing = client_framing(head->framing, request);
    edit.keep_alive = keep_alive && edit.framing.kind != BodyKind::until_close;
    edit.client_minor_version = request.minor_version;
    edit.upgrade = head->status == 101;
    const auto head_text = serialize_response_head(*head, edit);
    if (!head_text) {
        out.error = head_text.error();
        co_return;
    }
    if (edit.upgrade) {
        client.unwatch();  // from its 101 on, a client that ends its side has not gone
    }
    Passage passage;
    passage.comes = head->framing;
    passage.leaves_chunked = edit.framing.kind == BodyKind::chunked;
    passage.head_text = *head_text;
    passage.write_timeout = limits.write_timeout;
    co_await relay_message(upstream, client, passage, out);
    if (edit.upgrade) {
        out.switched = !out.error;
        co_return;
    }
    if (out.error && edit.framing.kind == BodyKind::until_close) {
        client.close(true);  // nothing but a reset tells such a client that the answer was cut
    }
    out.client_keep_alive = !out.error && edit.keep_alive;
    out.upstream_keep_alive = !out.error && head->keep_alive && upstream.in().empty();
}

}  // namespace corral::http
