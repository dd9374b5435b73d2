#include "proxy/http/start_line.hpp"

#include "proxy/http/error_body.hpp"
#include "proxy/http/http_chars.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace corral::http {
namespace {

constexpr std::size_t method_bytes_max = 32;
constexpr std::string_view version_begin = "HTTP/1.";

Error bad_line(std::string detail) {
    return {Errc::bad_request, Blame::client, std::move(detail)};
}

Error malformed_line(std::string detail) {
    return {Errc::upstream_malformed, Blame::upstream, std::move(detail)};
}

/// `HTTP/1.x` → x; nullopt otherwise.
std::optional<unsigned> minor_of(std::string_view version) noexcept {
    if (version.size() == 8 && version.starts_with(version_begin) && version[7] >= '0' &&
        version[7] <= '9') {
        return static_cast<unsigned>(version[7] - '0');
    }
    return std::nullopt;
}

bool is_other_major(std::string_view version) noexcept {
    return version.size() == 8 && version.starts_with("HTTP/") && version[5] >= '0' &&
           version[5] <= '9' && version[5] != '1' && version[6] == '.' && version[7] >= '0' &&
           version[7] <= '9';
}

bool has_lower_case(std::string_view method) noexcept {
    return std::any_of(method.begin(), method.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

}  // namespace

Result<RequestLine> read_request_line(std::string_view line) {
    RequestLine out;
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) {
        return bad_line("the request line is not `METHOD target HTTP/1.1` (RFC 9112 section 3)");
    }
    out.method = line.substr(0, first);
    out.target = line.substr(first + 1, last - first - 1);
    const auto version = line.substr(last + 1);
    if (!chars::is_token(out.method) || out.method.size() > method_bytes_max) {
        return bad_line("the method is malformed (RFC 9110 section 9.1)");
    }
    const auto minor = minor_of(version);
    if (!minor && is_other_major(version)) {
        return refuse(HttpStatus::version_not_supported,
                      "this server speaks HTTP/1.1 and HTTP/1.0 only");
    }
    if (!minor) {
        return bad_line("the HTTP version is malformed (RFC 9112 section 2.3)");
    }
    // A higher minor version is served as the highest known one (RFC 9110 §2.5).
    out.minor_version = *minor == 0 ? 0 : 1;
    if (out.target.empty() || !chars::all_of(out.target, chars::target)) {
        return bad_line("the request target has a space, a fragment or a control character");
    }
    // `get` is a method of its own (RFC 9110 §9.1) that nobody defined, and some servers take it
    // for GET: what we decide by the method would not hold there.
    if (has_lower_case(out.method)) {
        return Error(Errc::unsupported, Blame::client,
                     "methods are written in capitals (RFC 9110 section 9.1)");
    }
    return out;
}

Result<StatusLine> read_status_line(std::string_view line) {
    StatusLine out;
    const auto minor = minor_of(line.substr(0, 8));
    if (!minor) {
        return malformed_line("the answer does not start with HTTP/1.x");
    }
    out.minor_version = *minor == 0 ? 0 : 1;
    const auto code = line.size() >= 12 ? line.substr(9, 3) : std::string_view{};
    const bool spaced =
        line.size() >= 12 && line[8] == ' ' && (line.size() == 12 || line[12] == ' ');
    if (code.empty() || !spaced || !chars::all_of(code, chars::digit)) {
        return malformed_line("the answer's status line is malformed (RFC 9112 section 4)");
    }
    out.status = static_cast<unsigned>(*chars::decimal(code));
    if (out.status < 100 || out.status > 599) {
        return malformed_line("the answer's status is not between 100 and 599");
    }
    out.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
    if (!chars::all_of(out.reason, chars::field_value)) {
        return malformed_line("the answer's reason phrase has a control character");
    }
    return out;
}

bool can_begin_status_line(std::string_view bytes) noexcept {
    const auto known = std::min(bytes.size(), version_begin.size());
    return bytes.substr(0, known) == version_begin.substr(0, known);
}

}  // namespace corral::http
