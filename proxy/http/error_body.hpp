#pragma once
// From an Error to the answer that a client sees: status, fields, body in the form it accepts
// (llama-swap's shapes with "src":"corral"). Pure; any thread. Foreign text in messages is made
// safe here: invalid UTF-8, control and direction-changing characters never leave as they came.

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::http {

/// Statuses that no Errc stands for alone; an Error may carry one instead of an Errc.
enum class HttpStatus : std::uint16_t {
    uri_too_long = 414,
    unsupported_media_type = 415,  ///< a request body with Content-Encoding
    expectation_failed = 417,
    version_not_supported = 505,
};

/// An Error blamed on the client that answers exactly this status.
[[nodiscard]] Error refuse(HttpStatus status, std::string detail);

/// The HTTP status that an Error answers with; 499 (log only) for a client that has gone.
[[nodiscard]] int status_of(const Error& error) noexcept;
/// The reason phrase of a status; empty when unknown.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

struct ErrorAnswer {
    int status = 500;
    std::string content_type;
    std::string body;
    /// Retry-After, Allow, WWW-Authenticate, X-Content-Type-Options where they belong.
    std::vector<std::pair<std::string, std::string>> fields;
};

/// `accept` is the request's Accept value (empty: JSON); `allow` the methods for a 405, as they
/// stand in an Allow field. Substring `text/plain` → `corral: message`, `text/html` → a small page,
/// else JSON. A 429 for concurrency_limit is JSON always and has the peer's fixed message. What
/// failed with a model's process (Error::failure) stands in a member `failure` beside `code`:
/// class, status, last lines, what to do; a 503 says in Retry-After when it is tried again.
[[nodiscard]] ErrorAnswer render_error(const Error& error, std::string_view accept = {},
                                       std::string_view allow = {});

/// Text that is safe in a log line, a JSON string or a page: valid UTF-8 without control bytes
/// (newline and tab stay), without escape sequences and direction marks; at most `bytes_max` bytes.
[[nodiscard]] std::string safe_text(std::string_view text, std::size_t bytes_max = 8 * 1024);

}  // namespace corral::http
