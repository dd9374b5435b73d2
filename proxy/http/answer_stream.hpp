#pragma once
// An answer of our own that has no end of its own: its parts are sent as they come about, until its
// source ends or the client leaves. Main loop only.

#include "proxy/http/answer.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <string>

namespace corral::http {

/// Where the parts come from. Belongs to one answer.
class AnswerSource {
public:
    AnswerSource() = default;
    AnswerSource(const AnswerSource&) = delete;
    AnswerSource& operator=(const AnswerSource&) = delete;
    virtual ~AnswerSource() = default;
    /// Waits for the next part; an empty one is the end. Cancellable; not called again after that.
    [[nodiscard]] virtual asio::awaitable<std::string> next() = 0;
};

/// How such an answer went.
struct StreamedAnswer {
    std::uint64_t bytes = 0;  ///< of the body
    bool complete = false;    ///< the source has ended, and the client has all of it
};

/// Sends the head of `answer`, then every part of its source at once. Answer, request and what
/// the stamp says are borrowed from the caller's frame. A client that takes nothing for
/// `write_timeout` has left. Requires: it has a source.
[[nodiscard]] asio::awaitable<StreamedAnswer> write_stream(Wire& client, const Answer& answer,
                                                           const RequestHead& request,
                                                           AnswerStamp stamp, bool keep_alive,
                                                           Duration write_timeout);

}  // namespace corral::http
