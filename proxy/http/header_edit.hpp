#pragma once
// Writes the heads that leave: canonical lines, our own framing, no hop-by-hop field, the other
// fields in the order they came. Nothing that a peer sent about framing is ever copied. Pure but
// for the clock that a stamp may have; any thread.

#include "core/error.hpp"
#include "proxy/http/head_rules.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace corral::http {

class DateClock;

/// Who sent a request, as an upstream is told (X-Forwarded-*, X-Real-IP).
struct Sender {
    std::string_view address;  ///< who connected; no IP address: a client of a Unix socket
    std::string_view client;   ///< who asks: the same, but for a trusted proxy's word
    std::string_view scheme = "http";
    bool trusted = false;  ///< a proxy of ours: what it says of its client stays, and is added to
};

/// What every answer to a request says besides its own.
struct AnswerStamp {
    std::string_view request_id;       ///< X-Request-Id; empty: none
    std::string_view reader;           ///< the Origin whose page may read it (CORS); empty: none
    bool varies = false;               ///< another Origin might get another answer
    const DateClock* clock = nullptr;  ///< for the Date of those that have none; nullptr: none
};

/// How a request's head changes on its way to an upstream. Views live until the call returns.
struct RequestEdit {
    std::string_view target;         ///< request target for the upstream; empty: the client's
    std::string_view host;           ///< Host for the upstream; empty: the client's
    const Sender* sender = nullptr;  ///< nullptr: the upstream learns nothing of who asks
    std::string_view request_id;     ///< X-Request-Id; empty: the client's
    Framing framing;                 ///< of the body that will be sent
    bool close = false;              ///< ask the upstream to close afterwards
    bool upgrade = false;            ///< pass on Upgrade (RequestHead::upgrade)
    std::span<const std::string_view> drop;  ///< further fields to leave out
    std::span<const Field> set;              ///< fields to add; replace those of the same name
};

/// How an upstream's head changes on its way to the client.
struct ResponseEdit {
    Framing framing;                    ///< of the body that will be sent
    bool keep_alive = true;             ///< the client's connection stays open afterwards
    unsigned client_minor_version = 1;  ///< HTTP/1.0 clients need to be told of keep-alive
    bool upgrade = false;               ///< a 101: pass on Upgrade
    AnswerStamp stamp;                  ///< takes the place of what the upstream says of these
    std::span<const std::string_view> drop;
    std::span<const Field> set;
};

/// The head to send upstream, final empty line included. internal when a value to be set has bytes
/// that would break the head (checked_value). What a client that is no trusted proxy says of who
/// asks (Forwarded, X-Forwarded-*, X-Real-IP) is never passed on, nor is a cookie of Corral's
/// (named `corral…`).
[[nodiscard]] Result<std::string> serialize_request_head(const RequestHead& head,
                                                         const RequestEdit& edit);

/// The head to send to the client. What the upstream says of which pages may read it is left out
/// (Access-Control-*): that is for the stamp to say. Answers without body keep the length that the
/// upstream declared (HEAD, 304). An event stream gets `X-Accel-Buffering: no` and `Cache-Control:
/// no-transform` where it has none.
[[nodiscard]] Result<std::string> serialize_response_head(const ResponseHead& head,
                                                          const ResponseEdit& edit);

/// The head of an answer of our own. `content_type` may be empty; `body_bytes` is what a GET would
/// give, also for HEAD. Lines are as for an upstream's answer.
[[nodiscard]] Result<std::string> serialize_answer_head(int status, std::string_view content_type,
                                                        std::uint64_t body_bytes,
                                                        const ResponseEdit& edit);

/// The value, if it may stand in a head: no CR, LF, NUL or other control byte but tab, no
/// whitespace at its ends. Error: internal, saying which field; never the value itself.
[[nodiscard]] Result<std::string_view> checked_value(std::string_view name, std::string_view value);

/// True for fields that concern one connection only (RFC 9110 §7.6.1) or framing: never forwarded.
[[nodiscard]] bool is_hop_by_hop(std::string_view name) noexcept;

}  // namespace corral::http
