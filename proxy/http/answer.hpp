#pragma once
// An answer of our own: a document of the API or an error. Main loop only.

#include "core/error.hpp"
#include "proxy/http/error_body.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::http {

class AnswerSource;

struct Answer {
    int status = 200;
    std::string content_type;
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;  ///< further fields of the head
    std::shared_ptr<AnswerSource> source;  ///< where the body comes from instead, see write_stream
};

/// The answer for an error, in the form that the request accepts. `request` may be nullptr: then
/// the head was not clean and JSON is given.
[[nodiscard]] Answer answer_of(const Error& error, const RequestHead* request,
                               std::string_view allow = {});

/// Writes it, without the body for HEAD. False when the client has gone. Answer, request
/// and what the stamp says are borrowed from the caller's frame.
[[nodiscard]] asio::awaitable<bool> write_answer(Wire& client, const Answer& answer,
                                                 const RequestHead* request, AnswerStamp stamp,
                                                 bool keep_alive, Duration write_timeout);

/// Ends a connection on which the client may still be sending: end of stream first, then reads and
/// drops for a short while, so that the answer is not lost to a reset (RFC 9112 §9.6).
[[nodiscard]] asio::awaitable<void> linger_and_close(Wire& client);

}  // namespace corral::http
