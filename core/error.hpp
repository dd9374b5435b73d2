#pragma once
// Expected failures as values. Every room returns Result<T>; exceptions are for broken invariants.
// An Error says what went wrong (code), who is to blame (blame → 4xx, 502–504, 500) and, in one or
// more sentences for a person, what happened and what to do next (detail). Any thread.

#include <boost/assert/source_location.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

namespace corral {

struct Failure;  // core/failure.hpp

/// Whose fault a failure is: the client's (4xx), the upstream's (502–504) or ours (500).
enum class Blame : std::uint8_t { client, upstream, internal };

/// What went wrong, as a stable machine-readable name (errc_name) that also picks the HTTP status.
enum class Errc : std::uint8_t {
    bad_request = 1,       ///< the request is not clean HTTP or misses something
    malformed_json,        ///< the body is not one JSON document
    model_missing,         ///< the request names no model
    model_not_found,       ///< no such model or alias
    not_found,             ///< no such path
    method_not_allowed,    ///< the path exists, the method does not
    misdirected,           ///< the Host is not one of ours
    forbidden,             ///< refused by policy
    unauthorized,          ///< no or wrong API key
    body_too_large,        ///< more had to be held than the limits allow
    head_too_large,        ///< request or response head beyond the limits
    unsupported,           ///< a feature that is not served (501, 415)
    conflict,              ///< not possible in the model's present state (409)
    concurrency_limit,     ///< the model's concurrencyLimit is reached (429)
    overloaded,            ///< a queue or table is full (503, Retry-After)
    shutting_down,         ///< the program is stopping (503)
    unloaded,              ///< the model was unloaded while the request waited (503)
    cooling_down,          ///< the model failed again and again and is not tried yet (503)
    start_failed,          ///< the child could not be started or died before it was ready (502)
    start_timeout,         ///< the child was not ready in time (502)
    upstream_unreachable,  ///< connect failed (502)
    upstream_closed,       ///< the upstream ended the connection too early (502)
    upstream_malformed,    ///< the upstream's answer is not clean HTTP (502)
    timed_out,             ///< a deadline passed (408 to the client, 504 for an upstream)
    cancelled,             ///< whoever asked has gone
    io,                    ///< a file or system call failed
    corrupt,               ///< a file is not what it claims to be
    short_input,           ///< a parser needs more bytes than it was given
    invalid_config,        ///< the configuration cannot be used (422)
    internal,              ///< a defect of ours
};

/// The stable snake_case name of a code, as it appears in JSON bodies and logs.
[[nodiscard]] std::string_view errc_name(Errc code) noexcept;

/// The error category of Errc ("corral").
[[nodiscard]] const boost::system::error_category& corral_category() noexcept;
[[nodiscard]] boost::system::error_code make_error_code(Errc code) noexcept;

struct Error {
    boost::system::error_code code;
    Blame blame = Blame::internal;
    std::string detail;
    std::shared_ptr<const Failure> failure;  ///< of a model's process; null: not about one

    Error() = default;
    Error(boost::system::error_code c, Blame b, std::string d)
        : code(c), blame(b), detail(std::move(d)) {}
    Error(Errc c, Blame b, std::string d)
        : code(make_error_code(c)), blame(b), detail(std::move(d)) {}

    /// True when the code is this Errc.
    [[nodiscard]] bool is(Errc c) const noexcept { return code == make_error_code(c); }
};

/// `code: detail`, so that a failed CHECK on a Result says why.
std::ostream& operator<<(std::ostream& out, const Error& error);

[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

template <class T = void>
using Result = boost::system::result<T, Error>;

}  // namespace corral

template <>
struct boost::system::is_error_code_enum<corral::Errc> : std::true_type {};
