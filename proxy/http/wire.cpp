#include "proxy/http/wire.hpp"

#include "proxy/http/peer_look.hpp"
#include "proxy/http/tls_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

namespace corral::http {
namespace {

constexpr auto as_values = asio::as_tuple(asio::deferred);

/// How often a peer with unread input is asked whether it has gone: the socket stays readable then,
/// so the loop cannot tell.
constexpr Duration gone_poll_interval{100};

}  // namespace

struct Wire::State {
    State(Socket s, std::unique_ptr<TlsLayer> t)
        : socket(std::move(s)), tls(std::move(t)), timer(socket.get_executor()) {}

    Socket socket;
    std::unique_ptr<TlsLayer> tls;  ///< or nullptr
    asio::steady_timer timer;
    InputBuffer in;
    TimePoint read_deadline = TimePoint::max();
    TimePoint write_deadline = TimePoint::max();
    TimePoint armed_for = TimePoint::max();
    bool timed_out = false;
    bool writing = false;  ///< with TLS: a write is under way, or has failed in the middle

    // The one read under way, whoever began it, and the fill() that waits for its end.
    bool reading = false;
    bool gives_way = false;  ///< it was cancelled, so that nobody holds a buffer for it
    bool heard = false;
    std::unique_ptr<Waiter> waiter;
    Buffer waits_with = Buffer::held;  ///< the waiter
    error_code ended;                  ///< what a read ahead found: the next fill() says so

    std::function<void()> on_gone;
    Watch how = Watch::look;
    asio::cancellation_signal watch_signal;
    std::unique_ptr<asio::steady_timer> watch_timer;  ///< few need one

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

    /// Requires: no read is under way. False when in() is full.
    static bool read(const std::shared_ptr<State>& self) {
        const auto room = self->tls ? self->tls->room() : self->in.prepare();
        if (room.empty() || self->in.full()) {
            return false;
        }
        self->reading = true;
        self->socket.async_read_some(asio::mutable_buffer(room.data(), room.size()),
                                     [self](error_code ec, std::size_t n) {
                                         self->reading = false;
                                         self->heard = self->heard || n > 0;
                                         if (self->tls) {
                                             has_read_tls(self, ec, n);
                                             return;
                                         }
                                         self->in.commit(n);
                                         has_read(self, ec);
                                     });
        return true;
    }

    /// The same for who waits.
    static bool read_for_waiter(const std::shared_ptr<State>& self) {
        if (self->waits_with == Buffer::held || !self->in.empty()) {
            return read(self);
        }
        self->in.release();
        self->reading = true;
        self->socket.async_wait(asio::socket_base::wait_read, [self](error_code ec) {
            self->reading = false;
            if (ec || !read(self)) {
                has_read(self, ec);
            }
        });
        return true;
    }

    /// Ends the read under way, which will go on without a buffer, unless it has brought something.
    void give_way() {
        if (!gives_way && in.empty()) {
            gives_way = true;
            error_code ignored;
            socket.cancel(ignored);
        }
    }

    static void has_read(const std::shared_ptr<State>& self, error_code ec) {
        const bool gave_way = std::exchange(self->gives_way, false) &&
                              ec == asio::error::operation_aborted && !self->timed_out &&
                              self->socket.is_open();
        if (gave_way && self->in.empty()) {
            self->in.release();
        }
        if (gave_way && self->waiter && read_for_waiter(self)) {
            return;  // somebody asked for it meanwhile
        }
        if (gave_way && self->on_gone) {
            self->how = Watch::look;
            watch(self);
            return;
        }
        if (self->waiter) {
            const auto waiter = std::move(self->waiter);
            waiter->resume(self->verdict(ec));
            return;
        }
        if (ec && ec != asio::error::operation_aborted) {
            self->ended = ec;
            gone(self);
        } else if (!ec && self->on_gone && self->how == Watch::read_ahead && !read(self)) {
            self->how = Watch::look;  // it has sent as much as is held of it
            look(self);
        }
    }

    static void has_read_tls(const std::shared_ptr<State>& self, error_code ec, std::size_t n) {
        self->tls->received(n);
        if (ec == asio::error::eof) {
            self->tls->receive_ended();
            ec = error_code();
        }
        if (!ec) {
            const auto plain = decrypt(*self->tls, self->in);
            if (!plain && !self->expired() && read_for_waiter(self)) {
                return;  // it was for TLS alone
            }
            ec = plain.value_or(asio::error::operation_aborted);
        }
        has_read(self, ec);
    }

    /// Says to the peer that nothing more comes, where there is a way to say it.
    void announce_end() {
        if (tls && !writing) {
            send_end(socket.native_handle(), *tls);
        }
    }

    /// `buffers` stand in the caller's frame.
    static asio::awaitable<error_code> write_tls(std::shared_ptr<State> self,
                                                 std::span<const asio::const_buffer> buffers) {
        self->writing = true;
        const error_code ec = co_await write_encrypted(self->socket, *self->tls, buffers);
        self->writing = ec.failed();  // behind a part of a record nothing can be sent
        co_return self->verdict(ec);
    }

    static void gone(const std::shared_ptr<State>& self) {
        if (const auto call = std::exchange(self->on_gone, nullptr)) {
            call();
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
                gone(self);
                return;
            case Peer::sent_more:
                break;
        }
        if (!self->watch_timer) {
            self->watch_timer = std::make_unique<asio::steady_timer>(self->socket.get_executor());
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

Wire::Wire(Socket socket) : Wire(std::move(socket), nullptr) {}

Wire::Wire(Socket socket, std::unique_ptr<TlsLayer> tls)
    : state_(std::make_shared<State>(std::move(socket), std::move(tls))) {
    error_code ignored;  // an operation of a socket that cannot do it says so itself
    state_->socket.native_non_blocking(true, ignored);
}

Wire::~Wire() {
    if (state_) {
        unwatch();
        close();
    }
}

asio::awaitable<error_code> Wire::handshake() {
    const auto state = state_;
    const auto [ec] = co_await state->socket.async_wait(asio::socket_base::wait_read, as_values);
    if (ec) {
        co_return state->verdict(ec);
    }
    if (speaks_plain_http(state->socket.native_handle())) {
        state->tls.reset();
        co_return make_error_code(TlsErrc::plain);
    }
    const error_code failed = co_await shake_hands(state->socket, *state->tls);
    state->heard = true;
    state->tls->release();
    co_return state->verdict(failed);
}

const TlsLayer* Wire::tls() const noexcept {
    return state_->tls.get();
}

InputBuffer& Wire::in() noexcept {
    return state_->in;
}
Socket& Wire::socket() noexcept {
    return state_->socket;
}

void Wire::start_fill(const std::shared_ptr<State>& state, std::unique_ptr<Waiter> waiter,
                      Buffer buffer, asio::cancellation_slot slot) {
    state->waits_with = buffer;
    std::optional<error_code> at_once;
    if (state->expired()) {
        at_once = asio::error::timed_out;
    } else if (state->ended) {
        at_once = state->ended;
    } else if (state->tls && !state->reading) {
        at_once = decrypt(*state->tls, state->in);  // what had come before may be enough
    }
    if (!at_once && state->reading) {  // a watch has begun it, with a buffer
        if (buffer == Buffer::none) {
            state->give_way();
        }
    } else if (!at_once && !State::read_for_waiter(state)) {
        at_once = asio::error::no_buffer_space;
    }
    if (at_once) {  // never from within the call that starts it
        asio::post(state->socket.get_executor(),
                   [waiter = std::move(waiter), ec = *at_once] { waiter->resume(ec); });
        return;
    }
    state->waiter = std::move(waiter);
    if (slot.is_connected()) {
        slot.assign([weak = std::weak_ptr<State>(state)](asio::cancellation_type) {
            if (const auto self = weak.lock()) {
                self->gives_way = false;
                error_code ignored;
                self->socket.cancel(ignored);
            }
        });
    }
}

std::optional<error_code> Wire::write_now(std::span<asio::const_buffer>& left) {
    constexpr std::size_t parts_max = 64;
    if (state_->expired()) {
        return error_code(asio::error::timed_out);
    }
    if (state_->tls) {
        return std::nullopt;
    }
    while (!left.empty()) {
        std::array<iovec, parts_max> parts{};
        const std::size_t count = std::min(left.size(), parts_max);
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < count; ++i) {
            // The system only reads through it: iovec is one type for both directions.
            parts[i] = {const_cast<void*>(left[i].data()), left[i].size()};  // NOLINT
            bytes += left[i].size();
        }
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        const auto sent = ::sendmsg(state_->socket.native_handle(), &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return std::nullopt;
            }
            return error_code(errno, boost::system::system_category());
        }
        auto done = static_cast<std::size_t>(sent);
        const bool all = done == bytes;
        while (!left.empty() && done >= left.front().size()) {
            done -= left.front().size();
            left = left.subspan(1);
        }
        if (!left.empty()) {
            left.front() += done;
        }
        if (!all) {
            return std::nullopt;
        }
    }
    return error_code();
}

asio::awaitable<error_code> Wire::write(std::span<const asio::const_buffer> buffers) {
    const auto state = state_;
    if (state->expired()) {
        co_return error_code(asio::error::timed_out);
    }
    if (state->tls) {
        const error_code failed = co_await State::write_tls(state, buffers);
        co_return failed;
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

void Wire::watch(std::function<void()> on_gone, Watch how) {
    unwatch();
    state_->on_gone = std::move(on_gone);
    state_->how = how;
    if (how == Watch::look) {
        State::watch(state_);
    } else if (state_->ended) {
        asio::post(state_->socket.get_executor(), [state = state_] { State::gone(state); });
    } else if (!state_->reading && !State::read(state_)) {
        state_->how = Watch::look;
        State::watch(state_);
    }
}

void Wire::unwatch() {
    state_->on_gone = nullptr;
    if (state_->how == Watch::look) {
        state_->watch_signal.emit(asio::cancellation_type::terminal);
    }
    if (state_->watch_timer) {
        state_->watch_timer->cancel();
    }
}

void Wire::watch_without_buffer() {
    if (state_->on_gone && state_->how == Watch::read_ahead && state_->reading) {
        state_->give_way();
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
    } else {
        state_->announce_end();
    }
    state_->socket.close(ignored);
    state_->timer.cancel();
    state_->armed_for = TimePoint::max();
}

bool Wire::is_open() const noexcept {
    return state_->socket.is_open();
}

void Wire::end_output() noexcept {
    error_code ignored;
    state_->announce_end();
    state_->socket.shutdown(asio::socket_base::shutdown_send, ignored);
}

bool Wire::is_quiet() {
    constexpr int tickets_max = 8;
    for (int turn = 0; is_open() && in().empty() && turn < tickets_max; ++turn) {
        if (state_->tls && state_->tls->look() != TlsLayer::Step::starved) {
            return false;
        }
        pollfd entry{state_->socket.native_handle(), POLLIN | POLLRDHUP, 0};
        if (::poll(&entry, 1, 0) == 0) {
            return true;
        }
        if (!state_->tls || !receive_now(state_->socket.native_handle(), *state_->tls)) {
            return false;
        }
    }
    return false;
}

bool Wire::heard() const noexcept {
    return state_->heard;
}

bool is_gone(const error_code& ec) noexcept {
    return ec == asio::error::eof || ec == asio::error::connection_reset ||
           ec == asio::error::broken_pipe || ec == asio::error::connection_aborted ||
           ec == asio::error::bad_descriptor || ec == asio::error::operation_aborted ||
           ec == asio::error::not_connected;
}

}  // namespace corral::http
