#pragma once
// What a clean HTTP/1.1 head is (RFC 9110, 9112): the gate between a socket and everything else.
// The socket loop feeds HeadScanner until a head is complete, then parses it. What passes has one
// reading only; what two parsers could read differently is refused. Pure, bounded by Limits, any
// thread; never reads sockets, never repairs. Our statuses: error_body.hpp, status_of().

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/http/fields.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corral::http {

/// How the end of a body is told (RFC 9112 §6.3).
enum class BodyKind : std::uint8_t {
    none,            ///< no body follows
    content_length,  ///< Framing::length bytes follow
    chunked,         ///< chunks follow (chunked.hpp)
    until_close,     ///< responses only: everything up to the end of the connection
};

struct Framing {
    BodyKind kind = BodyKind::none;
    std::uint64_t length = 0;  ///< bytes, for content_length

    friend bool operator==(const Framing&, const Framing&) = default;
};

/// What a scan says of the bytes so far.
struct HeadScan {
    enum class State : std::uint8_t { need_more, complete, refused };
    State state = State::need_more;
    std::size_t bytes = 0;       ///< complete: of the head, its final empty line included
    std::optional<Error> error;  ///< refused: why
};

enum class HeadOf : std::uint8_t { request, response };

/// A head that a HeadScanner has seen to its end: none of its bytes needs to be looked for again.
class CleanHead {
public:
    [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
    friend class HeadScanner;
    explicit CleanHead(std::string_view text) noexcept : text_(text) {}
    std::string_view text_;
};

/// Finds the end of a head as its bytes arrive, each looked at once. Refuses early what can never
/// become clean: a first line that is not HTTP, bare CR or LF, control bytes, folded lines, too
/// many bytes, lines or fields. One empty line before a request line is let pass (RFC 9112 §2.2).
/// One scanner a head.
class HeadScanner {
public:
    explicit HeadScanner(const Limits& limits, HeadOf of = HeadOf::request) noexcept;
    /// `bytes` are all bytes of the connection from the start of the head on: those of the call
    /// before and what came since. After complete or refused: same answer until restart().
    [[nodiscard]] HeadScan scan(std::string_view bytes);
    /// The head among these bytes. Requires: scan() of them said complete.
    [[nodiscard]] CleanHead clean(std::string_view bytes) const noexcept;
    /// Forgets everything: a new head begins.
    void restart() noexcept;

private:
    void scan_byte(std::string_view bytes);
    void end_empty_line();
    void count_line(std::string_view line);
    void check_start_line(std::string_view line);
    void refuse(std::string reason);
    void too_large(std::string what);

    std::size_t bytes_max_, line_max_, fields_max_;
    HeadOf of_;
    std::size_t at_ = 0;          ///< bytes looked at
    std::size_t line_begin_ = 0;  ///< of the line that is being read
    std::size_t lines_ = 0;       ///< complete lines, the start line included
    bool skipped_empty_line_ = false;
    std::optional<HeadScan> verdict_;
};

/// HeadScanner for bytes that are there in one piece.
[[nodiscard]] HeadScan scan_head(std::string_view bytes, const Limits& limits,
                                 HeadOf of = HeadOf::request);

struct RequestHead {
    std::string method;            ///< a token without lower-case letters
    std::string target;            ///< origin-form (starts with "/") or "*"; never empty
    unsigned minor_version = 1;    ///< HTTP/1.x: 0 or 1
    Fields fields;                 ///< all of them, framing and hop-by-hop included
    Framing framing;               ///< none, content_length or chunked
    bool keep_alive = true;        ///< the client wants to go on after this request
    bool expect_continue = false;  ///< waits for 100 before it sends the body
    std::string host;     ///< authority of an absolute-form target, else Host; empty only for 1.0
    std::string upgrade;  ///< protocols asked for by Upgrade, but for HTTP/2; usually empty, and
                          ///< so where it does not count: with a body, or in HTTP/1.0
    bool offers_http2 = false;  ///< by Upgrade or HTTP2-Settings (RFC 7540 §3.2); not in HTTP/1.0
};

/// Parses a head, any bytes if they were not scanned yet. Errors are the client's: bad_request 400,
/// body_too_large 413, head_too_large 431, unsupported 501 and the exact statuses 414, 417, 505.
/// After any of them the connection cannot be used on. `h2c` decides about one that offers HTTP/2.
[[nodiscard]] Result<RequestHead> parse_request_head(CleanHead head,
                                                     H2cUpgrade h2c = H2cUpgrade::refuse);
[[nodiscard]] Result<RequestHead> parse_request_head(std::string_view head, const Limits& limits,
                                                     H2cUpgrade h2c = H2cUpgrade::refuse);

struct ResponseHead {
    unsigned status = 0;  ///< 100–599
    std::string reason;   ///< may be empty
    unsigned minor_version = 1;
    Fields fields;
    Framing framing;  ///< none for HEAD, 1xx, 204, 304, whatever the fields say
    std::optional<std::uint64_t> declared_length;  ///< Content-Length, also where no body follows
    bool keep_alive = true;  ///< the connection may serve another request after this body

    /// 100–199 except 101: another head follows on the same connection.
    [[nodiscard]] bool is_interim() const noexcept {
        return status >= 100 && status < 200 && status != 101;
    }
};

/// What the request was, as far as it decides how its answer is read.
struct ResponseContext {
    std::string_view request_method = "GET";
    std::string_view upgrade;  ///< RequestHead::upgrade; 101 is an error without it
};

/// Parses an upstream's head. Everything unclean is upstream_malformed (502): nothing of such an
/// answer may be passed on and the connection must be dropped.
[[nodiscard]] Result<ResponseHead> parse_response_head(CleanHead head,
                                                       const ResponseContext& context);
[[nodiscard]] Result<ResponseHead> parse_response_head(std::string_view head,
                                                       const ResponseContext& context,
                                                       const Limits& limits);

/// True for `uri-host [":" port]` of RFC 9110 §7.2 as we take it: a name of letters, digits, `-`,
/// `_` and single dots between and behind them, an IPv4 literal or a bracketed IPv6 literal; port
/// 0–65535 or empty.
[[nodiscard]] bool is_valid_host(std::string_view host) noexcept;

}  // namespace corral::http
