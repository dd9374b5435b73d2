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
struct Exchange::LoadingWait {
    explicit LoadingWait(const asio::any_io_executor& executor)
        : change(executor, TimePoint::max()), give_up(executor, TimePoint::max()) {}

    std::optional<Result<Lease>> lease;
    std::optional<std::uint64_t> waiter;  ///< Fleet::standing knows it by this, once it has to wait
    std::optional<Error> failure;         ///< of the client, found by who tells
    bool over = false;                    ///< nobody waits any more
    asio::steady_timer change;            ///< who tells sleeps here
    asio::steady_timer give_up;           ///< cancelled: who waits is to stop
};

bool Exchange::tells_loading(const ModelConfig& model) const noexcept {
    return (model.send_loading_state || model.loading_keep_alive > Duration::zero()) && scanning_ &&
           scanner_.is_json() && head_.upgrade.empty();
}

asio::awaitable<Result<Lease>> Exchange::admit_and_tell(const ModelConfig& model, StreamApi api) {
    LoadingWait wait(client_.socket().get_executor());
    const TimePoint since = Clock::now();
    co_await (wait_for_lease(model, wait) && tell_loading(model, api, wait));
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
asio::awaitable<void> Exchange::wait_for_lease(const ModelConfig& model, LoadingWait& wait) {
    const auto until = Clock::now() + config_->limits.queue_timeout;
    const Fleet::OnWait on_wait = [&wait](std::uint64_t waiter) {
        wait.waiter = waiter;
        wait.change.cancel();
    };
    auto first = co_await (context_.fleet.acquire(model.id, until, on_wait, touches(use_)) ||
                           client_.wait_gone() || wait_for(wait.give_up));
    if (first.index() == 0) {
        wait.lease.emplace(std::move(std::get<0>(first)));
    } else {
        wait.lease.emplace(client_left());
    }
    wait.over = true;
    wait.change.cancel();
}

/// Tells until the wait is over. A client whose request is not all here, or that does not stream,
/// is told nothing.
asio::awaitable<void> Exchange::tell_loading(const ModelConfig& model, StreamApi api,
                                             LoadingWait& wait) {
    auto read = co_await read_rest(wait);
    if (!read) {
        wait.failure = read.error();
        wait.give_up.cancel();
        co_return;
    }
    if (!body_.done() || !scanner_.stream()) {
        co_return;
    }
    const bool events = model.send_loading_state && api != StreamApi::other;
    const Duration interval = events ? progress_interval : model.loading_keep_alive;
    if (interval == Duration::zero()) {
        co_return;
    }
    const TimePoint since = Clock::now();
    TimePoint next = events ? since : since + interval;
    while (true) {
        co_await wait_to_tell(next, wait);
        if (wait.over) {
            co_return;
        }
        next += interval;
        std::string head_text;
        if (!begun_) {
            head_text = begun_head();
            begun_ = std::make_unique<LoadingStream>(api, unique_id(context_.requests),
                                                     unix_seconds(), std::string(scanner_.model()));
        }
        const auto waited = std::chrono::duration_cast<Duration>(Clock::now() - since);
        const Standing standing = context_.fleet.standing(model.id, *wait.waiter);
        const std::string text =
            events ? begun_->progress(point_of(standing, waited)) : begun_->keep_alive(waited);
        const bool told = co_await tell(head_text, text);
        if (!told) {
            wait.failure = client_left();
            wait.give_up.cancel();
            co_return;
        }
    }
}

/// Until then, and until the request really waits: what is refused at once keeps its status.
asio::awaitable<void> Exchange::wait_to_tell(TimePoint at, LoadingWait& wait) {
    while (!wait.over && (!wait.waiter || Clock::now() < at)) {
        wait.change.expires_at(wait.waiter ? at : TimePoint::max());
        co_await wait_for(wait.change);
    }
}

/// Only a request that is all here says for certain whether it streams, and gets an answer before
/// its model's server does. Stops at what may be held: such a large one is told nothing.
asio::awaitable<Result<void>> Exchange::read_rest(const LoadingWait& wait) {
    constexpr std::size_t piece_bytes_max = 64 * 1024;  // InputBuffer's
    const auto& limits = config_->limits;
    while (!wait.over && !body_.done() && held_.size() + piece_bytes_max <= limits.body_buffered &&
           context_.bytes_held + piece_bytes_max <= limits.body_buffered_total) {
        auto read = co_await next_pieces();
        if (read) {
            read = scan_pieces();
        }
        if (read) {
            read = hold_pieces(Hold::until_named);
        }
        if (!read) {
            co_return read;
        }
    }
    co_return Result<void>();
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

std::string Exchange::begun_head() const {
    static constexpr std::array<Field, 1> fields{Field{"Cache-Control", "no-cache"}};
    ResponseEdit edit;
    edit.framing = stream_framing(head_);
    edit.keep_alive =
        head_.keep_alive && !context_.draining && edit.framing.kind != BodyKind::until_close;
    edit.client_minor_version = head_.minor_version;
    edit.stamp = caller_.stamp();
    edit.set = fields;
    return serialize_answer_head(200, "text/event-stream", 0, edit).value();
}

asio::awaitable<void> Exchange::end_begun(RelayOutcome& out) {
    if (!out.error || out.error->is(Errc::cancelled)) {
        co_return;
    }
    out.head_sent = true;
    out.status = static_cast<unsigned>(status_of(*out.error));
    const std::string text = begun_->failure(*out.error, out.bytes > 0);
    const std::string_view no_head;
    const bool told = co_await tell(no_head, text);
    if (told && stream_framing(head_).kind == BodyKind::until_close) {
        client_.close(true);  // nothing but a reset tells such a client that the answer was cut
    }
}

}  // namespace corral::http
