#include "proxy/http/tls_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <cerrno>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace corral::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// The plaintext of one write, on its way into records: small neighbours share one.
class PlainInput {
public:
    explicit PlainInput(std::span<const asio::const_buffer> buffers) : left_(buffers) {
        skip_empty();
    }

    [[nodiscard]] bool empty() const noexcept { return left_.empty(); }

    /// Encrypts what comes next, a few records at most; false when TLS has failed.
    [[nodiscard]] bool encrypt_some(TlsLayer& tls) {
        for (int records = 0; records < records_max && !empty(); ++records) {
            if (front().size() >= record_bytes_max) {
                const auto whole = front().substr(0, record_bytes_max);
                skip(whole.size());
                if (tls.write(whole) != TlsLayer::Step::done) {
                    return false;
                }
                continue;
            }
            small_.clear();
            while (!empty() && small_.size() < record_bytes_max) {
                const auto part = front().substr(0, record_bytes_max - small_.size());
                small_ += part;
                skip(part.size());
            }
            if (tls.write(small_) != TlsLayer::Step::done) {
                return false;
            }
        }
        return true;
    }

private:
    static constexpr std::size_t record_bytes_max = std::size_t{16} * 1024;
    static constexpr int records_max = 4;

    [[nodiscard]] std::string_view front() const noexcept {
        const auto& buffer = left_.front();
        return std::string_view(static_cast<const char*>(buffer.data()), buffer.size()).substr(at_);
    }
    void skip(std::size_t n) {
        at_ += n;
        skip_empty();
    }
    void skip_empty() {
        while (!left_.empty() && at_ == left_.front().size()) {
            left_ = left_.subspan(1);
            at_ = 0;
        }
    }

    std::span<const asio::const_buffer> left_;
    std::size_t at_ = 0;  ///< of the first
    std::string small_;
};

}  // namespace

asio::awaitable<error_code> shake_hands(asio::generic::stream_protocol::socket& socket,
                                        TlsLayer& tls) {
    using Step = TlsLayer::Step;
    constexpr auto as_values = asio::as_tuple(asio::use_awaitable);
    while (true) {
        const Step step = tls.handshake();
        const std::string outgoing = tls.take_outgoing();
        const auto [unsent, n] =
            co_await asio::async_write(socket, asio::buffer(outgoing), as_values);
        if (step != Step::done && step != Step::starved) {
            co_return TlsLayer::error_of(step);
        }
        if (unsent || step == Step::done) {
            co_return unsent;
        }
        const auto room = tls.room();
        const asio::mutable_buffer target(room.data(), room.size());
        const auto [ec, bytes] = co_await socket.async_read_some(target, as_values);
        tls.received(bytes);
        if (ec == asio::error::eof) {
            tls.receive_ended();
        } else if (ec) {
            co_return ec;
        }
    }
}

std::optional<error_code> decrypt(TlsLayer& tls, InputBuffer& in) {
    const auto room = in.prepare();
    if (room.empty()) {
        return error_code(asio::error::no_buffer_space);
    }
    std::size_t bytes = 0;
    auto step = TlsLayer::Step::done;
    while (step == TlsLayer::Step::done && bytes < room.size()) {
        std::size_t n = 0;
        step = tls.read(room.subspan(bytes), n);
        bytes += n;
    }
    in.commit(bytes);
    if (bytes > 0) {
        return error_code();  // what stands behind it is for the next one to tell
    }
    in.release();
    if (step != TlsLayer::Step::starved) {
        return TlsLayer::error_of(step);
    }
    tls.release();
    return std::nullopt;
}

asio::awaitable<error_code> write_encrypted(asio::generic::stream_protocol::socket& socket,
                                            TlsLayer& tls,
                                            std::span<const asio::const_buffer> buffers) {
    constexpr auto as_values = asio::as_tuple(asio::use_awaitable);
    PlainInput input(buffers);
    while (!input.empty()) {
        if (!input.encrypt_some(tls)) {
            co_return make_error_code(TlsErrc::broken);
        }
        // Taken out of TLS, which may be read from, and so have more to send, in the meantime.
        const std::string outgoing = tls.take_outgoing();
        const auto [ec, n] = co_await asio::async_write(socket, asio::buffer(outgoing), as_values);
        if (ec) {
            co_return ec;
        }
    }
    co_return error_code();
}

bool receive_now(int fd, TlsLayer& tls) {
    const auto room = tls.room();
    const auto n = ::recv(fd, room.data(), room.size(), MSG_DONTWAIT);
    const bool nothing_yet = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (n <= 0 && !nothing_yet) {
        tls.receive_ended();
    }
    tls.received(n > 0 ? static_cast<std::size_t>(n) : 0);
    return n > 0;
}

bool speaks_plain_http(int fd) {
    char first = 0;
    const auto n = ::recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 1 && first >= 'A' && first <= 'Z';  // of a method; a TLS record begins with 0x16
}

void send_end(int fd, TlsLayer& tls) {
    tls.finish();
    const std::string last = tls.take_outgoing();
    static_cast<void>(::send(fd, last.data(), last.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

}  // namespace corral::http
