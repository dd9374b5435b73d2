// The exchange with a client that is told how its model's loading goes: the answer has begun before
// the model's server was asked, so whatever fails from then on is an event and a cut stream.
#include "core/model_config.hpp"
#include "proxy/http/chunked.hpp"
#include "proxy/http/error_body.hpp"
#include "proxy/http/exchange.hpp"
#include "proxy/http/header_edit.hpp"
#include "proxy/http/loading_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <utility>

namespace corral::http {
namespace {

using namespace asio::experimental::awaitable_operators;

/// Between two events that tell how it stands.
constexpr Duration progress_interval{1'000};

std::string unique_id(std::uint64_t request) {
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    std::array<char, 40> text{};
    char* end = std::to_chars(text.begin(), text.end(), now, 16).ptr;
    *end++ = '-';
    end = std::to_chars(end, text.end(), request).ptr;
    return {text.begin(), end};
}

std::int64_t unix_seconds() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

asio::awaitable<void> wait_for(asio::steady_timer& timer) {
    auto ended = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    static_cast<void>(ended);
}

LoadingPoint point_of(const Standing& standing, Duration waited) {
    LoadingPoint out;
    out.waited = waited;
    if (standing.state == ProcessState::ready) {
        out.phase = LoadingPoint::Phase::busy;
    } else if (standing.state != ProcessState::starting) {
        out.phase = LoadingPoint::Phase::queued;
        out.ahead = standing.ahead;
    }
    return out;
}

}  // namespace

/// One wait for a model, shared by who waits and who tells; stands in the frame above both.
class Exchange::LoadingWait {
public:
    LoadingWait(Exchange& exchange, const ModelConfig& of)
        : exchange_(exchange),
          model_(of),
          change_(exchange.client_.socket().get_executor(), TimePoint::max()),
          give_up_(exchange.client_.socket().get_executor(), TimePoint::max()) {}

    asio::awaitable<void> wait_for_lease();
    asio::awaitable<void> tell_loading(StreamApi api);

    std::optional<Result<Lease>> lease;
    std::optional<Error> failure;  ///< of the client, found by who tells

private:
    asio::awaitable<void> wait_to_tell(TimePoint at);
    asio::awaitable<Result<void>> read_rest();
    [[nodiscard]] std::string begun_head() const;

    Exchange& exchange_;
    const ModelConfig& model_;
    std::optional<std::uint64_t> waiter_;  ///< Fleet::standing knows it by this, once it has to
                                           ///< wait
    bool over_ = false;                    ///< nobody waits any more
    asio::steady_timer change_;            ///< who tells sleeps here
    asio::steady_timer give_up_;           ///< cancelled: who waits is to stop
};

bool Exchange::tells_loading(const ModelConfig& model) const noexcept {
    return (model.send_loading_state || model.loading_keep_alive > Duration::zero()) && scanning_ &&
           scanner_->is_json() && head_.upgrade.empty();
}

asio::awaitable<Result<Lease>> Exchange::admit_and_tell(const ModelConfig& model, StreamApi api) {
    LoadingWait wait(*this, model);
    const TimePoint since = Clock::now();
    co_await (wait.wait_for_lease() && wait.tell_loading(api));
    if (wait.failure) {
        co_return std::move(*wait.failure);
    }
    if (begun_ && *wait.lease) {
        const auto waited = std::chrono::duration_cast<Duration>(Clock::now() - since);
        const std::string text = begun_->ready(waited);
        const std::string_view no_head;
        const bool told = co_await tell(no_head, text);
        if (!told) {
            co_return client_left();
        }
    }
    co_return std::move(*wait.lease);
}

/// Like the rest of admit(), and ends early when whoever tells asks for it.
asio::awaitable<void> Exchange::LoadingWait::wait_for_lease() {
    const auto until = Clock::now() + exchange_.config_->limits.queue_timeout;
    const Fleet::OnWait on_wait = [this](std::uint64_t waiter) {
        waiter_ = waiter;
        change_.cancel();
    };
    Fleet& fleet = exchange_.context_.fleet;
    auto first = co_await (fleet.acquire(model_.id, until, on_wait, touches(exchange_.use_)) ||
                           exchange_.client_.wait_gone() || wait_for(give_up_));
    if (first.index() == 0) {
        lease.emplace(std::move(std::get<0>(first)));
    } else {
        lease.emplace(client_left());
    }
    over_ = true;
    change_.cancel();
}

/// Tells until the wait is over. A client whose request is not all here, or that does not stream,
/// is told nothing.
asio::awaitable<void> Exchange::LoadingWait::tell_loading(StreamApi api) {
    auto read = co_await read_rest();
    if (!read) {
        failure = read.error();
        give_up_.cancel();
        co_return;
    }
    if (!exchange_.body_.done() || !exchange_.scanner_->stream()) {
        co_return;
    }
    const bool events = model_.send_loading_state && api != StreamApi::other;
    const Duration interval = events ? progress_interval : model_.loading_keep_alive;
    if (interval == Duration::zero()) {
        co_return;
    }
    auto& begun = exchange_.begun_;
    const TimePoint since = Clock::now();
    TimePoint next = events ? since : since + interval;
    while (true) {
        co_await wait_to_tell(next);
        if (over_) {
            co_return;
        }
        next += interval;
        std::string head_text;
        if (!begun) {
            head_text = begun_head();
            begun = std::make_unique<LoadingStream>(api, unique_id(exchange_.context_.requests),
                                                    unix_seconds(),
                                                    std::string(exchange_.scanner_->model()));
        }
        const auto waited = std::chrono::duration_cast<Duration>(Clock::now() - since);
        const Standing standing = exchange_.context_.fleet.standing(model_.id, *waiter_);
        const std::string text =
            events ? begun->progress(point_of(standing, waited)) : begun->keep_alive(waited);
        const bool told = co_await exchange_.tell(head_text, text);
        if (!told) {
            failure = client_left();
            give_up_.cancel();
            co_return;
        }
    }
}

/// Until then, and until the request really waits: what is refused at once keeps its status.
asio::awaitable<void> Exchange::LoadingWait::wait_to_tell(TimePoint at) {
    while (!over_ && (!waiter_ || Clock::now() < at)) {
        change_.expires_at(waiter_ ? at : TimePoint::max());
        co_await wait_for(change_);
    }
}

/// Only a request that is all here says for certain whether it streams, and gets an answer before
/// its model's server does. Stops at what may be held: such a large one is told nothing.
asio::awaitable<Result<void>> Exchange::LoadingWait::read_rest() {
    constexpr std::size_t piece_bytes_max = 64 * 1024;  // InputBuffer's
    const auto& limits = exchange_.config_->limits;
    while (!over_ && !exchange_.body_.done() &&
           exchange_.held_.size() + piece_bytes_max <= limits.body_buffered &&
           exchange_.context_.bytes_held + piece_bytes_max <= limits.body_buffered_total) {
        auto read = co_await exchange_.next_pieces();
        if (read) {
            read = exchange_.scan_pieces();
        }
        if (read) {
            read = exchange_.hold_pieces(Hold::until_named);
        }
        if (!read) {
            co_return read;
        }
    }
    co_return Result<void>();
}

std::string Exchange::LoadingWait::begun_head() const {
    static constexpr std::array<Field, 1> fields{Field{"Cache-Control", "no-cache"}};
    const RequestHead& head = exchange_.head_;
    ResponseEdit edit;
    edit.framing = stream_framing(head);
    edit.keep_alive = head.keep_alive && !exchange_.context_.draining &&
                      edit.framing.kind != BodyKind::until_close;
    edit.client_minor_version = head.minor_version;
    edit.stamp = exchange_.caller_.stamp(exchange_.context_.clock);
    edit.set = fields;
    return serialize_answer_head(200, "text/event-stream", 0, edit).value();
}

/// Sends a part of the stream, at first with the answer's head. False: the client has gone.
asio::awaitable<bool> Exchange::tell(std::string_view head_text, std::string_view text) {
    if (text.empty()) {
        co_return true;
    }
    const bool chunked = stream_framing(head_).kind == BodyKind::chunked;
    const ChunkPrefix prefix(text.size());
    const std::string_view before = chunked ? prefix.view() : std::string_view();
    const std::string_view behind = chunked ? chunk_suffix : std::string_view();
    const std::array<asio::const_buffer, 4> buffers{asio::buffer(head_text), asio::buffer(before),
                                                    asio::buffer(text), asio::buffer(behind)};
    client_.set_write_deadline(Clock::now() + config_->limits.write_timeout);
    const auto unwritten = co_await client_.write(buffers);
    client_.set_write_deadline(TimePoint::max());
    co_return !unwritten;
}

asio::awaitable<void> Exchange::end_begun() {
    if (!out_.error || out_.error->is(Errc::cancelled)) {
        co_return;
    }
    out_.head_sent = true;
    out_.status = static_cast<unsigned>(status_of(*out_.error));
    const std::string text = begun_->failure(*out_.error, out_.bytes > 0);
    const std::string_view no_head;
    const bool told = co_await tell(no_head, text);
    if (told && stream_framing(head_).kind == BodyKind::until_close) {
        client_.close(true);  // nothing but a reset tells such a client that the answer was cut
    }
}

}  // namespace corral::http
