#pragma once
// One byte stream with everything that a connection needs: socket, input buffer, one deadline, and
// a watch on the peer's going away. Client and upstream connections are both Wires. Main loop only;
// one coroutine reads and at most one other writes at a time.
//
// Built for few system calls: a read begins with waiting, a write with writing, and whoever watches
// a peer reads on from it, so that its next request or its end arrives without being asked for.

#include "core/time.hpp"
#include "proxy/http/input_buffer.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace corral::http {

namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;
class TlsLayer;

/// An error_code that Asio hands to a coroutine as a value: it would throw the plain one.
struct IoError : error_code {
    IoError() = default;
    IoError(error_code ec) noexcept : error_code(ec) {}  // NOLINT(google-explicit-constructor)
};

class Wire {
public:
    explicit Wire(Socket socket);
    /// The same with TLS between the socket and everything below; its handshake is done, or
    /// handshake() comes first.
    Wire(Socket socket, std::unique_ptr<TlsLayer> tls);
    Wire(Wire&&) noexcept = default;
    Wire& operator=(Wire&&) noexcept = default;
    ~Wire();  ///< closes the socket

    /// Does the handshake with a client, within the deadline. TlsErrc::plain: it speaks plain HTTP,
    /// and from now on this wire does, too. With another TlsErrc, tls()->failure() says more.
    [[nodiscard]] asio::awaitable<error_code> handshake();
    [[nodiscard]] const TlsLayer* tls() const noexcept;  ///< or nullptr

    [[nodiscard]] InputBuffer& in() noexcept;
    [[nodiscard]] Socket& socket() noexcept;

    /// What a fill() waits with; none: for a peer that may be silent for long.
    enum class Buffer : std::uint8_t { held, none };
    /// Reads once, appending to in(); a read that a watch has begun already counts. Awaited, it
    /// gives an IoError: asio::error::eof, timed_out when the deadline passed, no_buffer_space when
    /// in() is full, or the socket's own. Needs no coroutine frame of its own.
    [[nodiscard]] auto fill(Buffer buffer = Buffer::held) {
        return asio::async_initiate<const asio::deferred_t&, void(IoError)>(Fill(state_, buffer),
                                                                            asio::deferred);
    }

    /// Sends what the socket takes at once and moves `left` on. A value when that was all of it, or
    /// when it failed; nullopt when the rest has to wait: write(left). Changes the buffers.
    [[nodiscard]] std::optional<error_code> write_now(std::span<asio::const_buffer>& left);
    /// Writes all of it. The buffers are copied, not the bytes: the caller keeps those alive.
    [[nodiscard]] asio::awaitable<error_code> write(std::span<const asio::const_buffer> buffers);

    /// When `at` has passed, operations fail with timed_out until a deadline is set anew; one for
    /// reading and waiting, one for writing. TimePoint::max(): no deadline.
    void set_deadline(TimePoint at);
    void set_write_deadline(TimePoint at);

    /// How a watch learns that the peer has gone.
    enum class Watch : std::uint8_t {
        look,        ///< touches neither in() nor unread bytes; they do not hide a peer's end
        read_ahead,  ///< reads what comes into in(), for the next fill(): costs no system call
    };
    /// Calls `on_gone` once, from the loop, when the peer has closed or reset its side. Replaces an
    /// earlier watch; unwatch() ends it. Requires for read_ahead: nobody looks at bytes of in().
    void watch(std::function<void()> on_gone, Watch how = Watch::look);
    void unwatch();
    /// A watch that reads ahead goes on without a buffer, if nothing has come yet. Requires: no
    /// write is under way.
    void watch_without_buffer();
    /// Completes when the peer has closed or reset its side; cancellable.
    [[nodiscard]] asio::awaitable<void> wait_gone();

    /// Ends both directions at once; pending operations fail. With `reset`, the peer sees an error
    /// (RST) instead of an end.
    void close(bool reset = false) noexcept;
    [[nodiscard]] bool is_open() const noexcept;
    /// Ends the direction to the peer, which goes on being read from. Requires: no write under way.
    void end_output() noexcept;
    /// True while nothing has come that was not read and the peer has not ended its side. What TLS
    /// sends for itself, as its session tickets, is taken in and does not count.
    [[nodiscard]] bool is_quiet();
    /// True when some byte has ever come.
    [[nodiscard]] bool heard() const noexcept;

private:
    struct State;

    /// The coroutine that awaits a fill(). (asio::any_completion_handler of Boost 1.81 cannot be
    /// assigned: its move calls itself for ever.)
    struct Waiter {
        Waiter() = default;
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;
        virtual ~Waiter() = default;
        virtual void resume(IoError ec) = 0;
    };
    template <typename Handler>
    struct WaiterOf final : Waiter {
        explicit WaiterOf(Handler h) : handler(std::move(h)) {}
        void resume(IoError ec) override { std::move(handler)(ec); }
        Handler handler;
    };
    static void start_fill(const std::shared_ptr<State>& state, std::unique_ptr<Waiter> waiter,
                           Buffer buffer, asio::cancellation_slot slot);

    /// Starts fill() when it is awaited. Holds the state, as the operation may outlive the Wire.
    class Fill {
    public:
        Fill(std::shared_ptr<State> state, Buffer buffer) noexcept
            : state_(std::move(state)), buffer_(buffer) {}
        template <typename Handler>
        void operator()(Handler&& handler) {
            const auto slot = asio::get_associated_cancellation_slot(handler);
            using Kind = WaiterOf<std::decay_t<Handler>>;
            start_fill(state_, std::make_unique<Kind>(std::forward<Handler>(handler)), buffer_,
                       slot);
        }

    private:
        std::shared_ptr<State> state_;
        Buffer buffer_;
    };

    std::shared_ptr<State> state_;
};

/// True for a peer that closed: end of file, reset, broken pipe.
[[nodiscard]] bool is_gone(const error_code& ec) noexcept;

}  // namespace corral::http
