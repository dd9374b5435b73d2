#include "proxy/http/tunnel.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <span>
#include <sys/socket.h>
#include <utility>

namespace corral::http {
namespace {

using namespace asio::experimental::awaitable_operators;

/// For the last words of a model that was told to go, which hold up whoever wants it gone.
constexpr Duration last_words_patience{1'000};
/// A peer that vanished without a word, as a laptop that sleeps, is found out by probes: seconds of
/// silence before the first, between two, and how many may stay without an answer.
constexpr int probe_after = 60, probe_every = 15, probes_max = 4;

void probe_when_silent(Socket& socket) noexcept {
    const auto set = [fd = socket.native_handle()](int level, int name, int value) {
        ::setsockopt(fd, level, name, &value, sizeof value);  // a Unix socket has no need of it
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, probe_after);
    set(IPPROTO_TCP, TCP_KEEPINTVL, probe_every);
    set(IPPROTO_TCP, TCP_KEEPCNT, probes_max);
}

bool is_broken(int fd) noexcept {
    pollfd entry{fd, 0, 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & POLLERR) != 0;
}

/// One tunnel. Shared with the handlers of watch_break only; its coroutines end before run() does.
class Tunnel : public std::enable_shared_from_this<Tunnel> {
public:
    Tunnel(Wire& upstream, Wire& client, const Limits& limits, TunnelOutcome& out)
        : upstream_(upstream), client_(client), limits_(limits), out_(out) {}

    asio::awaitable<void> run(asio::awaitable<void> told_to_go) {
        for (Wire* wire : {&upstream_, &client_}) {
            wire->unwatch();
            wire->set_deadline(TimePoint::max());
            wire->set_write_deadline(TimePoint::max());
            probe_when_silent(wire->socket());
        }
        watch_break(upstream_);
        watch_break(client_);
        if (told_to_go.valid()) {
            co_await ((carry(upstream_, client_, out_.to_client) &&
                       carry(client_, upstream_, out_.to_upstream)) ||
                      part(std::move(told_to_go)));
        } else {
            co_await (carry(upstream_, client_, out_.to_client) &&
                      carry(client_, upstream_, out_.to_upstream));
        }
        upstream_.close();
        client_.close();
    }

private:
    [[nodiscard]] TunnelEnd side(const Wire& wire) const noexcept {
        return &wire == &client_ ? TunnelEnd::client : TunnelEnd::upstream;
    }
    void note(TunnelEnd by) noexcept {
        if (out_.ended_by == TunnelEnd::none) {
            out_.ended_by = by;
        }
    }

    /// What one side sends goes to the other until it ends.
    asio::awaitable<void> carry(Wire& from, Wire& to, std::uint64_t& bytes) {
        // The first read may be one that the client's watch has begun: it goes on.
        bool with_buffer = &from == &client_;
        while (true) {
            while (!from.in().empty()) {
                const std::size_t size = from.in().data().size();
                const error_code unwritten = co_await write(to, from.in().data());
                from.in().consume(size);
                if (unwritten) {
                    fail(to, unwritten);
                    co_return;
                }
                bytes += size;
            }
            error_code failed;
            if (!with_buffer && from.socket().available(failed) == 0) {
                failed = co_await from.fill(Wire::Buffer::none);
            } else {
                failed = co_await from.fill();
            }
            with_buffer = false;
            if (failed == asio::error::eof) {
                end_of(from, to);
                co_return;
            }
            if (failed) {
                fail(from, failed);
                co_return;
            }
            if (upstream_ended_) {
                hurry();
            }
        }
    }

    asio::awaitable<error_code> write(Wire& to, std::string_view bytes) {
        std::array<asio::const_buffer, 1> buffers{asio::buffer(bytes)};
        std::span<asio::const_buffer> left(buffers);
        auto written = to.write_now(left);
        if (!written) {
            upstream_takes_nothing_ = upstream_takes_nothing_ || &to == &upstream_;
            if (&to == &client_ || upstream_ended_) {
                to.set_write_deadline(Clock::now() + limits_.write_timeout);
            }
            written = co_await to.write(left);
            to.set_write_deadline(TimePoint::max());
            upstream_takes_nothing_ = upstream_takes_nothing_ && &to != &upstream_;
        }
        co_return *written;
    }

    void end_of(Wire& from, Wire& to) {
        note(side(from));
        to.end_output();
        if (&from == &upstream_) {
            upstream_ended_ = true;
            hurry();
        }
    }

    /// An upstream that has ended its side has most likely closed altogether, and a tunnel without
    /// an upstream must not hold a model: what the client still sends must come soon and be taken.
    /// One that has not may be at work, and has no limit.
    void hurry() {
        client_.set_deadline(Clock::now() + limits_.body_idle_timeout);
        if (upstream_takes_nothing_) {
            upstream_.set_write_deadline(Clock::now() + limits_.write_timeout);
        }
    }

    void fail(const Wire& wire, const error_code& why) noexcept {
        if (told_to_go_) {
            return;  // part() gives the other way its moment
        }
        const bool cancelled = why == asio::error::operation_aborted && wire.is_open();
        note(cancelled ? TunnelEnd::corral : side(wire));
        upstream_.close(true);
        client_.close(true);
    }

    /// Sees a reset of a side that is not being read, because its bytes are not taken or because
    /// it has ended. POLLHUP alone is no failure: it only means that both ends were said.
    void watch_break(Wire& wire) {
        wire.socket().async_wait(
            asio::socket_base::wait_error, [weak = weak_from_this(), &wire](const error_code& ec) {
                const auto self = weak.lock();
                if (self && !ec && wire.is_open() && is_broken(wire.socket().native_handle())) {
                    self->fail(wire, asio::error::connection_reset);
                }
            });
    }

    asio::awaitable<void> part(asio::awaitable<void> told_to_go) {
        co_await std::move(told_to_go);
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        if (cancellation.cancelled() != asio::cancellation_type::none) {
            co_return;
        }
        note(TunnelEnd::corral);
        told_to_go_ = true;
        upstream_.end_output();
        const auto executor = co_await asio::this_coro::executor;
        asio::steady_timer patience(executor, last_words_patience);
        co_await patience.async_wait(asio::as_tuple(asio::use_awaitable));
        upstream_.close();
        client_.close();
    }

    Wire& upstream_;
    Wire& client_;
    const Limits& limits_;
    TunnelOutcome& out_;
    bool upstream_ended_ = false;
    bool upstream_takes_nothing_ = false;  ///< a write to it waits
    bool told_to_go_ = false;
};

}  // namespace

bool is_ignored(const RequestHead& head, const ModelConfig& model) noexcept {
    return model.ignore_websockets && equals_no_case(head.upgrade, "websocket");
}

asio::awaitable<void> run_tunnel(Wire& upstream, Wire& client, const Limits& limits,
                                 asio::awaitable<void> told_to_go, TunnelOutcome& out) {
    const auto tunnel = std::make_shared<Tunnel>(upstream, client, limits, out);
    co_await tunnel->run(std::move(told_to_go));
}

asio::awaitable<void> run_tunnel(Wire& upstream, Wire& client, const Limits& limits,
                                 TunnelOutcome& out) {
    const auto tunnel = std::make_shared<Tunnel>(upstream, client, limits, out);
    asio::awaitable<void> nothing;
    co_await tunnel->run(std::move(nothing));
}

std::string log_fields(const TunnelOutcome& outcome) {
    constexpr std::array<std::string_view, 4> ends{"nobody", "client", "upstream", "corral"};
    return " bytes_in=" + std::to_string(outcome.to_upstream) +
           " ended_by=" + std::string(ends[static_cast<std::size_t>(outcome.ended_by)]);
}

}  // namespace corral::http
