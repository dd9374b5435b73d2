#pragma once
// TLS between two piles of bytes: what the connection brings goes in at one side, plaintext comes
// out at the other, and the way back. Knows no socket and never waits; Wire moves the bytes.
// Client or server: whichever the SSL object was set up for. One thread.

#include "proxy/http/input_buffer.hpp"
#include "proxy/http/tls_handles.hpp"

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace corral::http {

/// What a Wire's operations report of its TLS.
enum class TlsErrc : std::uint8_t {
    cut = 1,  ///< the connection ended without TLS saying so: bytes may be missing
    broken,   ///< what came is not what the other side can have sent
    plain,    ///< a client began with plain HTTP
};
[[nodiscard]] boost::system::error_code make_error_code(TlsErrc code) noexcept;

class TlsLayer {
public:
    enum class Step : std::uint8_t {
        done,     ///< as asked
        starved,  ///< needs more bytes of the connection
        ended,    ///< the other side has said that nothing more comes
        cut,      ///< the connection has ended without that
        failed,   ///< for good; failure() says why
    };

    /// Takes an SSL in connect or accept state. `host` is whom a client wants to reach, for texts.
    TlsLayer(OpenSslHandle<SSL> ssl, std::string host);
    TlsLayer(const TlsLayer&) = delete;
    TlsLayer& operator=(const TlsLayer&) = delete;
    ~TlsLayer() = default;

    // What the connection brings, and what is to be sent on it.
    /// Room for the connection's bytes; received() says how many came. Empty: read() first.
    [[nodiscard]] std::span<char> room() { return incoming_.prepare(); }
    void received(std::size_t n) noexcept { incoming_.commit(n); }
    /// The connection has ended on the other side.
    void receive_ended() noexcept { connection_ended_ = true; }
    /// Bytes to send, in the order in which they are taken. Every operation below may add some.
    [[nodiscard]] std::string take_outgoing() noexcept { return std::exchange(outgoing_, {}); }

    // Plaintext.
    [[nodiscard]] Step handshake();
    /// Up to into.size() bytes of plaintext, `bytes` of them when done.
    [[nodiscard]] Step read(std::span<char> into, std::size_t& bytes);
    /// Adds all of it to what is to be sent; done or failed.
    [[nodiscard]] Step write(std::string_view plaintext);
    /// Says to the other side that nothing more comes. Not before the handshake is done.
    void finish() noexcept;

    /// Takes in what has come; done when there is plaintext to read, starved when there is none.
    /// Session tickets and other messages between the two TLS sides are no plaintext.
    [[nodiscard]] Step look();
    /// Gives back a buffer that is empty.
    void release() noexcept { incoming_.release(); }
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
    /// The error that read() has come to, when it is not done.
    [[nodiscard]] static boost::system::error_code error_of(Step step) noexcept;

private:
    [[nodiscard]] Step judge(int result);
    [[nodiscard]] Step fail(Step step, std::string why);
    static int verified(int good, X509_STORE_CTX* verification);
    static const BIO_METHOD* bio_method();
    static int bio_read(BIO* bio, char* into, int size);
    static int bio_write(BIO* bio, const char* bytes, int size);
    static long bio_control(BIO* bio, int command, long number, void* pointer);

    InputBuffer incoming_;
    std::string outgoing_;
    bool connection_ended_ = false;
    bool established_ = false;
    Step over_ = Step::done;  ///< cut or failed: SSL must not be used any more
    std::string failure_;
    std::string certificate_;  ///< what is wrong with the other side's
    std::string host_;
    OpenSslHandle<SSL> ssl_;  ///< last: its BIO points to this object
};

}  // namespace corral::http

template <>
struct boost::system::is_error_code_enum<corral::http::TlsErrc> : std::true_type {};
