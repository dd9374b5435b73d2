#pragma once
// The first line of a message: what a request line and a status line may be (RFC 9112 §3, §4). Part
// of head_rules.hpp, which is for everybody else; here because a line is judged as soon as it is
// there, so that what is not HTTP does not hold a connection until a time-out. Pure; any thread.

#include "core/error.hpp"

#include <string_view>

namespace corral::http {

struct RequestLine {
    std::string_view method, target;
    unsigned minor_version = 1;  ///< HTTP/1.x: 0 or 1
};

/// Reads `METHOD target HTTP/1.x`, without its CRLF. Errors: bad_request, unsupported, 505.
[[nodiscard]] Result<RequestLine> read_request_line(std::string_view line);

struct StatusLine {
    unsigned status = 0;  ///< 100–599
    std::string_view reason;
    unsigned minor_version = 1;
};

/// Reads `HTTP/1.x 200 reason`, without its CRLF. Error: upstream_malformed.
[[nodiscard]] Result<StatusLine> read_status_line(std::string_view line);

/// False when no answer begins with these bytes.
[[nodiscard]] bool can_begin_status_line(std::string_view bytes) noexcept;

}  // namespace corral::http
