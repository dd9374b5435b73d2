// What an exchange reads of the request's body for other ends than to pass it on.
#include "proxy/http/exchange.hpp"

#include <string>
#include <utility>

namespace corral::http {
namespace {

/// As much of a body is looked at before its model sees the first byte of it.
constexpr std::size_t looked_ahead_max = 64UL * 1024;

Error more_than_taken(std::size_t bytes_max) {
    return {
        Errc::body_too_large, Blame::client,
        "this body has more than the " + std::to_string(bytes_max) + " bytes that are taken here"};
}

}  // namespace

asio::awaitable<Result<std::string>> Exchange::read_body(std::size_t bytes_max) {
    std::string out;
    if (head_.framing.length > bytes_max) {  // before a client that asks is told to send it
        co_return more_than_taken(bytes_max);
    }
    while (!body_.done()) {
        if (auto read = co_await next_pieces(); !read) {
            co_return read.error();
        }
        for (const auto& piece : pieces_) {
            if (out.size() + piece.payload.size() > bytes_max) {
                co_return more_than_taken(bytes_max);
            }
            out.append(piece.payload);
        }
    }
    co_return out;
}

/// What has come of the body is looked at first, so that nobody sees anything of a request whose
/// fault is among it. Does not wait for more for that, and refuses nothing for its size.
asio::awaitable<Result<void>> Exchange::look_ahead() {
    const auto& limits = config_->limits;
    const bool can_be_faulty = scanning_ || head_.framing.kind == BodyKind::chunked;
    while (can_be_faulty && !body_.done() && held_.size() < looked_ahead_max) {
        if (body_.starved()) {
            error_code ec;
            if (client_.socket().available(ec) == 0 || ec) {
                break;
            }
            continued_ = true;  // nobody waits for a 100 who sends (RFC 9110 §10.1.1)
            const auto more = co_await read_more();
            if (!more) {
                co_return more.error();
            }
        }
        const auto unseen = client_.in().data().size();
        if (held_.size() + unseen > limits.body_buffered ||
            context_.bytes_held + unseen > limits.body_buffered_total) {
            break;
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
            co_return taken.error();
        }
    }
    co_return Result<void>();
}

asio::awaitable<bool> Exchange::prepare_body(const Filters& filters, std::string_view name) {
    auto changed = co_await look_ahead();
    if (changed) {
        changed = co_await change_body(filters, name);
    }
    if (!changed) {
        out_.error = changed.error();
    }
    co_return changed.has_value();
}

}  // namespace corral::http
