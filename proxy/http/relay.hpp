#pragma once
// From a model's server to the client: the answer's head checked and written anew, its body piece
// by piece, each at once. Never makes a cut answer look complete. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"
#include "proxy/http/tunnel.hpp"
#include "proxy/http/usage.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>

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

/// Reads the answer to `request` from `upstream` and writes it to `client`; of a 101 the head, what
/// follows is the caller's (tunnel.hpp). `stamp` goes on its head; `keep_alive` says whether the
/// client's connection may go on afterwards. `out.status` is set as soon as the answer's head is
/// there; a deadline of `upstream` for reading holds until then. With `out.head_sent` set the
/// answer has begun already, as an event stream in stream_framing(): it goes on with the events of
/// this one, and any other answer is an error with the words of unfit_answer(). All of them are
/// borrowed from the exchange's frame, which outlives the call.
[[nodiscard]] asio::awaitable<void> relay_answer(Wire& upstream, Wire& client,
                                                 const RequestHead& request, AnswerStamp stamp,
                                                 const Limits& limits, bool keep_alive,
                                                 RelayOutcome& out);

}  // namespace corral::http
