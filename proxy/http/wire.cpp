#include "proxy/http/wire.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

namespace corral::http {
namespace {

constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

/// How often a peer with unread input is asked whether it has gone: the socket stays readable then,
/// so the loop cannot tell.
constexpr Duration gone_poll_interval{100};

enum class Peer : std::uint8_t { here, gone, sent_more };

Peer look_at_peer(int fd) noexcept {
    pollfd entry{fd, POLLIN | POLLRDHUP, 0};
    if (::poll(&entry, 1, 0) <= 0) {
        return Peer::here;
    }
    if ((entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0) {
        return Peer::gone;
    }
    return (entry.revents & POLLIN) != 0 ? Peer::sent_more : Peer::here;
}

}  // namespace

struct Wire::State {
    explicit State(Socket s) : socket(std::move(s)), timer(socket.get_executor()) {}

    Socket socket;
    asio::steady_timer timer;
    InputBuffer in;
    TimePoint read_deadline = TimePoint::max();
    TimePoint write_deadline = TimePoint::max();
    TimePoint armed_for = TimePoint::max();
    bool timed_out = false;

    std::function<void()> on_gone;
    asio::cancellation_signal watch_signal;
    std::optional<asio::steady_timer> watch_timer;

    [[nodiscard]] TimePoint next_deadline() const noexcept {
        return std::min(read_deadline, write_deadline);
    }

    static void arm(const std::shared_ptr<State>& self) {
        self->armed_for = self->next_deadline();
        self->timer.expires_at(self->armed_for);
        self->timer.async_wait([weak = std::weak_ptr<State>(self)](error_code ec) {
            const auto state = weak.lock();
            if (ec || !state) {
                return;
            }
            state->armed_for = TimePoint::max();
            if (state->next_deadline() > Clock::now()) {
                if (state->next_deadline() != TimePoint::max()) {
                    arm(state);
                }
                return;
            }
            state->timed_out = true;
            error_code ignored;
            state->socket.cancel(ignored);
        });
    }

    static void rearm(const std::shared_ptr<State>& self) {
        self->timed_out = false;
        if (self->next_deadline() < self->armed_for) {  // a later one is seen when the timer fires
            arm(self);
        }
    }

    static void watch(const std::shared_ptr<State>& self) {
        auto handler = [weak = std::weak_ptr<State>(self)](error_code ec) {
            if (const auto state = weak.lock(); state && !ec && state->on_gone) {
                look(state);
            }
        };
        self->socket.async_wait(
            asio::socket_base::wait_read,
            asio::bind_cancellation_slot(self->watch_signal.slot(), std::move(handler)));
    }

    static void look(const std::shared_ptr<State>& self) {
        switch (look_at_peer(self->socket.native_handle())) {
            case Peer::here:
                watch(self);
                return;
            case Peer::gone:
                if (auto call = std::exchange(self->on_gone, nullptr)) {
                    call();
                }
                return;
            case Peer::sent_more:
                break;
        }
        if (!self->watch_timer) {
            self->watch_timer.emplace(self->socket.get_executor());
        }
        self->watch_timer->expires_after(gone_poll_interval);
        self->watch_timer->async_wait([weak = std::weak_ptr<State>(self)](error_code ec) {
            if (const auto state = weak.lock(); state && !ec && state->on_gone) {
                look(state);
            }
        });
    }

    /// What an operation's result means, given that the deadline may have cancelled it.
    [[nodiscard]] error_code verdict(error_code ec) const noexcept {
        return ec && timed_out ? error_code(asio::error::timed_out) : ec;
    }
    [[nodiscard]] bool expired() const noexcept { return timed_out; }
};

Wire::Wire(Socket socket) : state_(std::make_shared<State>(std::move(socket))) {}

Wire::~Wire() {
    if (state_) {
        unwatch();
        close();
    }
}

InputBuffer& Wire::in() noexcept {
    return state_->in;
}
Socket& Wire::socket() noexcept {
    return state_->socket;
}

asio::awaitable<error_code> Wire::fill() {
    const auto state = state_;
    if (state->expired()) {
        co_return error_code(asio::error::timed_out);
    }
    const auto room = state->in.prepare();
    if (room.empty()) {
        co_return error_code(asio::error::no_buffer_space);
    }
    const asio::mutable_buffer target(room.data(), room.size());
    const auto [ec, n] = co_await state->socket.async_read_some(target, as_values);
    state->in.commit(n);
    co_return state->verdict(ec);
}

asio::awaitable<error_code> Wire::wait_readable() {
    const auto state = state_;
    if (state->expired()) {
        co_return error_code(asio::error::timed_out);
    }
    const auto [ec] = co_await state->socket.async_wait(asio::socket_base::wait_read, as_values);
    co_return state->verdict(ec);
}

asio::awaitable<error_code> Wire::write(std::span<const asio::const_buffer> buffers) {
    const auto state = state_;
    if (state->expired()) {
        co_return error_code(asio::error::timed_out);
    }
    // A span is cheap to copy and its elements outlive the write: they stand in the caller's frame.
    const auto [ec, n] = co_await asio::async_write(state->socket, buffers, as_values);
    static_cast<void>(n);
    co_return state->verdict(ec);
}

void Wire::set_deadline(TimePoint at) {
    state_->read_deadline = at;
    State::rearm(state_);
}

void Wire::set_write_deadline(TimePoint at) {
    state_->write_deadline = at;
    State::rearm(state_);
}

void Wire::watch(std::function<void()> on_gone) {
    unwatch();
    state_->on_gone = std::move(on_gone);
    State::watch(state_);
}

void Wire::unwatch() {
    state_->on_gone = nullptr;
    state_->watch_signal.emit(asio::cancellation_type::terminal);
    if (state_->watch_timer) {
        state_->watch_timer->cancel();
    }
}

asio::awaitable<void> Wire::wait_gone() {
    const auto state = state_;
    asio::steady_timer gone(state->socket.get_executor(), TimePoint::max());
    watch([&gone] { gone.cancel(); });
    // Completes by cancellation either way: by the watch, or by whoever gave up on us.
    co_await gone.async_wait(as_values);
    unwatch();
}

void Wire::close(bool reset) noexcept {
    error_code ignored;
    if (!state_->socket.is_open()) {
        return;
    }
    if (reset) {
        state_->socket.set_option(asio::socket_base::linger(true, 0), ignored);
    }
    state_->socket.close(ignored);
    state_->timer.cancel();
    state_->armed_for = TimePoint::max();
}

bool Wire::is_open() const noexcept {
    return state_->socket.is_open();
}

bool is_gone(const error_code& ec) noexcept {
    return ec == asio::error::eof || ec == asio::error::connection_reset ||
           ec == asio::error::broken_pipe || ec == asio::error::connection_aborted ||
           ec == asio::error::bad_descriptor || ec == asio::error::operation_aborted ||
           ec == asio::error::not_connected;
}

}  // namespace corral::http
