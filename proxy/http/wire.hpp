#pragma once
// One byte stream with everything that a connection needs: socket, input buffer, one deadline, and
// a watch on the peer's going away. Client and upstream connections are both Wires. Main loop only;
// one coroutine reads and at most one other writes at a time.

#include "core/time.hpp"
#include "proxy/http/input_buffer.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace corral::http {

namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;

class Wire {
public:
    explicit Wire(Socket socket);
    Wire(Wire&&) noexcept = default;
    Wire& operator=(Wire&&) noexcept = default;
    ~Wire();  ///< closes the socket

    [[nodiscard]] InputBuffer& in() noexcept;
    [[nodiscard]] Socket& socket() noexcept;

    /// Reads once, appending to in(). Errors: asio::error::eof, timed_out when the deadline passed,
    /// no_buffer_space when in() is full, or the socket's own.
    [[nodiscard]] asio::awaitable<error_code> fill();
    /// Waits until there is something to read without holding a buffer. Errors as fill().
    [[nodiscard]] asio::awaitable<error_code> wait_readable();
    /// Writes all of it. The buffers are copied, not the bytes: the caller keeps those alive.
    [[nodiscard]] asio::awaitable<error_code> write(std::span<const asio::const_buffer> buffers);

    /// When `at` has passed, operations fail with timed_out until a deadline is set anew; one for
    /// reading and waiting, one for writing. TimePoint::max(): no deadline.
    void set_deadline(TimePoint at);
    void set_write_deadline(TimePoint at);

    /// Calls `on_gone` once, from the loop, when the peer has closed or reset its side. Unread
    /// input does not hide it. Replaces an earlier watch; unwatch() ends it.
    void watch(std::function<void()> on_gone);
    void unwatch();
    /// Completes when the peer has closed or reset its side; cancellable.
    [[nodiscard]] asio::awaitable<void> wait_gone();

    /// Ends both directions at once; pending operations fail. With `reset`, the peer sees an error
    /// (RST) instead of an end.
    void close(bool reset = false) noexcept;
    [[nodiscard]] bool is_open() const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

/// True for a peer that closed: end of file, reset, broken pipe.
[[nodiscard]] bool is_gone(const error_code& ec) noexcept;

}  // namespace corral::http
