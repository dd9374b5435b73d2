#pragma once
// From a model's server to the client: the answer's head checked and written anew, its body piece
// by piece, each at once. Never makes a cut answer look complete. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/http/body_reader.hpp"
#include "proxy/http/error_excerpt.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"
#include "proxy/http/outgoing.hpp"
#include "proxy/http/stream_tap.hpp"
#include "proxy/http/tunnel.hpp"
#include "proxy/http/usage.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace corral::http {

/// How a relay ended. Without an error the client has the whole answer.
struct RelayOutcome {
    unsigned status = 0;               ///< of the answer; 0 when none came
    bool interim_seen = false;         ///< the upstream works on the request: it said 1xx
    bool head_sent = false;            ///< the client has seen a first byte: no other answer fits
    bool client_keep_alive = false;    ///< the client's connection can serve another request
    bool upstream_keep_alive = false;  ///< the upstream's connection is clean for another request
    std::uint64_t bytes = 0;           ///< payload relayed
    bool metered = false;  ///< set by the caller: the answer is read for what it says of itself
    Usage usage;           ///< what a metered answer said; of a cut one what came
    std::string upstream_error;  ///< what a metered answer that is an error said went wrong
    std::optional<TunnelOutcome> tunnel;  ///< the client has its 101: what came, or comes, of it
    std::optional<Error> error;           ///< blame says which side failed
};

/// How a stream without a length goes to the client that asked so.
[[nodiscard]] Framing stream_framing(const RequestHead& request) noexcept;

/// What a metered answer says of itself, read while it passes.
class Meter {
public:
    Meter() = default;
    explicit Meter(const ResponseHead& head);
    void feed(std::span<const Piece> pieces);
    /// Writes down what was said, once the answer has ended, however it did.
    void finish(RelayOutcome& out);

private:
    StreamTap tap_;
    std::unique_ptr<ErrorExcerpt> excerpt_;  ///< of an answer that is an error
};

/// One answer on its way from `upstream` to `client`: begin(), then go_on(). A stream may be silent
/// for hours, so that what only its begin needs stands in begin() and is gone afterwards. What is
/// borrowed stands in the exchange, which outlives it. `out` says how it went; what fails stands
/// there, too.
class Relay {
public:
    Relay(Wire& upstream, Wire& client, const Limits& limits, RelayOutcome& out)
        : upstream_(upstream), client_(client), limits_(limits), out_(out) {}

    /// Reads the head of the answer to `request` and decides what the client gets. `stamp` goes on
    /// the head; `keep_alive` says whether the client's connection may go on afterwards.
    /// `out.status` is set as soon as the answer's head is there; a deadline of `upstream` for
    /// reading holds until then. With `out.head_sent` set the answer has begun already, as an event
    /// stream in stream_framing(): it goes on with the events of this one, and any other answer is
    /// an error with the words of unfit_answer().
    [[nodiscard]] asio::awaitable<void> begin(const RequestHead& request, AnswerStamp stamp,
                                              bool keep_alive);
    /// Head and body to the client, each piece as soon as it is there; of a 101 the head, what
    /// follows is the caller's (tunnel.hpp). Does nothing after a begin() that failed.
    [[nodiscard]] asio::awaitable<void> go_on();

private:
    void answer_with(const ResponseHead& head, const RequestHead& request, AnswerStamp stamp,
                     bool keep_alive);
    [[nodiscard]] std::span<asio::const_buffer> next();
    [[nodiscard]] bool account();
    [[nodiscard]] Wire::Buffer prepare_wait(bool silent);
    void client_failed(const error_code& ec);
    void upstream_failed(const error_code& ec);
    void end();

    Wire& upstream_;
    Wire& client_;
    const Limits& limits_;
    RelayOutcome& out_;
    std::optional<BodyReader> body_;  ///< empty: there is nothing to go on with
    Outgoing outgoing_{false, {}};
    std::vector<Piece> pieces_;
    Meter meter_;
    bool stream_ = false;  ///< may be silent for long
    bool upgrade_ = false, cut_by_reset_ = false;
    bool client_keep_alive_ = false, upstream_keep_alive_ = false;
};

}  // namespace corral::http
