#include "proxy/http/head_rules.hpp"

#include "proxy/http/error_body.hpp"
#include "proxy/http/http_chars.hpp"
#include "proxy/http/start_line.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace corral::http {
namespace {

/// The largest length that every program reads exactly, those that count in doubles included. More
/// is no body but an attempt at an overflow.
constexpr std::uint64_t body_length_max = (1ULL << 53U) - 1;

Error bad(std::string detail) {
    return {Errc::bad_request, Blame::client, std::move(detail)};
}

Error malformed(std::string detail) {
    return {Errc::upstream_malformed, Blame::upstream, std::move(detail)};
}

/// Takes the next line off a head without its CRLF. Requires: a head that a HeadScanner accepted,
/// so that a CR ends a line.
std::string_view next_line(std::string_view& head) noexcept {
    const auto end = head.find('\r');
    const auto line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    return line;
}

/// `plain` once everything but letters and digits is left out of `name`, without case.
bool folds_to(std::string_view name, std::string_view plain) noexcept {
    std::size_t at = 0;
    for (const char c : name) {
        const char lower = chars::to_lower(c);
        if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9')) {
            if (at == plain.size() || lower != plain[at]) {
                return false;
            }
            ++at;
        }
    }
    return at == plain.size();
}

/// A name that some server folds onto a framing field's name (`Transfer_Encoding`,
/// `content.length`), so that it would see what we did not. Requires: a name.
bool is_look_alike(std::string_view name) noexcept {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> guarded{{
        {"transferencoding", "transfer-encoding"},
        {"contentlength", "content-length"},
        {"host", "host"},
    }};
    const char first = chars::to_lower(name.front());
    if (first >= 'a' && first <= 'z' && first != 't' && first != 'c' && first != 'h') {
        return false;
    }
    return std::any_of(guarded.begin(), guarded.end(), [name](const auto& each) {
        return folds_to(name, each.first) && !equals_no_case(name, each.second);
    });
}

/// Reads the field lines of a head. The error text is the same for both directions. That values
/// have no control characters was seen by HeadScanner.
std::optional<std::string> read_fields(std::string_view lines, Fields& out) {
    out.hold(lines);
    const char* const begin = lines.data();
    const auto place = [begin](std::string_view part) {
        return static_cast<std::size_t>(part.data() - begin);
    };
    while (!lines.empty()) {
        const auto line = next_line(lines);
        if (line.empty()) {
            return std::nullopt;
        }
        const auto name = line.substr(0, chars::prefix_of(line, chars::token));
        const auto rest = line.substr(name.size());
        if (name.empty() || !rest.starts_with(':')) {
            return line.find(':') == std::string_view::npos
                       ? "a header line has no colon (RFC 9112 section 5)"
                       : "a header name has a character that names do not have; note that no space "
                         "may stand before the colon (RFC 9112 section 5.1)";
        }
        if (is_look_alike(name)) {
            return "a header name looks like that of a framing field but is not the same";
        }
        const auto value = chars::trim(rest.substr(1));
        out.add_held(place(name), name.size(), place(value), value.size());
    }
    return std::nullopt;
}

struct Framed {
    std::optional<std::uint64_t> length;
    bool chunked = false;
    std::string problem;            ///< empty: none
    Errc code = Errc::bad_request;  ///< of the problem, where a request has it
};

void read_codings(const Fields& fields, Framed& out) {
    std::size_t chunked = 0;
    bool unknown = false;
    for (const Field field : fields) {
        if (!equals_no_case(field.name, "transfer-encoding")) {
            continue;
        }
        std::string_view list = field.value;
        if (list.empty() || list.front() == ',' || list.back() == ',') {
            out.problem = "Transfer-Encoding has an empty element";
            return;
        }
        while (const auto coding = next_element(list)) {
            if (!chars::is_token(*coding)) {
                out.problem = "Transfer-Encoding is malformed (RFC 9112 section 6.1)";
                return;
            }
            equals_no_case(*coding, "chunked") ? void(++chunked) : void(unknown = true);
        }
    }
    if (unknown) {
        out.problem = "a transfer coding other than chunked is not supported";
        out.code = Errc::unsupported;
    } else if (chunked != 1) {
        out.problem = "chunked is given more than once (RFC 9112 section 6.1)";
    }
    out.chunked = chunked == 1 && !unknown;
}

/// Content-Length and Transfer-Encoding as RFC 9112 §6 has them, without what it lets recipients
/// repair: each lenience was a smuggling hole of somebody's.
Framed read_framing(const Fields& fields, unsigned minor_version) {
    Framed out;
    const auto lengths = fields.count("content-length");
    const auto codings = fields.count("transfer-encoding");
    if (lengths > 0 && codings > 0) {
        out.problem = "both Content-Length and Transfer-Encoding (RFC 9112 section 6.3)";
    } else if (lengths > 1) {
        out.problem = "Content-Length is given more than once (RFC 9110 section 8.6)";
    } else if (lengths == 1) {
        out.length = chars::decimal(*fields.find("content-length"));
        if (!out.length) {
            out.problem = "Content-Length is not a plain decimal number below 2^63";
        } else if (*out.length > body_length_max) {
            out.problem = "Content-Length is larger than any body";
            out.code = Errc::body_too_large;
        }
    } else if (codings > 0 && minor_version == 0) {
        out.problem = "Transfer-Encoding with HTTP/1.0 (RFC 9112 section 6.1)";
    } else if (codings > 0) {
        read_codings(fields, out);
    }
    return out;
}

bool wants_keep_alive(const Fields& fields, unsigned minor_version) noexcept {
    if (fields.lists("connection", "close")) {
        return false;
    }
    return minor_version >= 1 || fields.lists("connection", "keep-alive");
}

/// Brings an absolute-form target into origin-form and gives its authority (RFC 9112 §3.2.2).
Result<std::string_view> split_absolute(std::string_view target, RequestHead& out) {
    const auto scheme = target.find("://");
    const auto name = target.substr(0, scheme);
    if (scheme == std::string_view::npos ||
        (!equals_no_case(name, "http") && !equals_no_case(name, "https"))) {
        return bad("the request target starts with neither `/` nor `http://`");
    }
    const auto rest = target.substr(scheme + 3);
    const auto end = rest.find_first_of("/?");
    const auto authority = rest.substr(0, end);
    if (!is_valid_host(authority)) {
        return bad("the host in the request target is malformed");
    }
    if (end == std::string_view::npos) {
        out.target = out.method == "OPTIONS" ? "*" : "/";
    } else {
        out.target = rest[end] == '?' ? "/" : "";
        out.target += rest.substr(end);
    }
    return authority;
}

Result<void> check_target_and_host(std::string_view target, RequestHead& out) {
    if (out.method == "CONNECT") {
        return Error(Errc::unsupported, Blame::client, "CONNECT is not served");
    }
    const auto hosts = out.fields.count("host");
    const auto host = out.fields.find("host").value_or("");
    if (hosts > 1) {
        return bad("Host is given more than once (RFC 9112 section 3.2)");
    }
    if (hosts == 0 && out.minor_version >= 1) {
        return bad("Host is missing (RFC 9112 section 3.2)");
    }
    if (hosts == 1 && !is_valid_host(host)) {
        return bad("Host is malformed (RFC 9112 section 3.2)");
    }
    out.host = host;
    if (target.front() == '/' || (target == "*" && out.method == "OPTIONS")) {
        out.target = target;
        return {};
    }
    if (target == "*") {
        return bad("the target `*` is for OPTIONS only (RFC 9112 section 3.2.4)");
    }
    const auto authority = split_absolute(target, out);
    if (!authority) {
        return authority.error();
    }
    out.host = *authority;  // it wins over Host (RFC 9112 §3.2.2)
    return {};
}

/// Another HTTP in place of this one (`h2c`, `h2c-14`, `HTTP/2.0`): it would carry requests past
/// every check of ours.
bool is_http(std::string_view protocol) noexcept {
    const auto name = protocol.substr(0, protocol.find('/'));
    return equals_no_case(name, "http") || equals_no_case(name.substr(0, 2), "h2");
}

/// `websocket` or `name/version`.
bool is_protocol(std::string_view text) noexcept {
    const auto slash = text.find('/');
    return chars::is_token(text.substr(0, slash)) &&
           (slash == std::string_view::npos || chars::is_token(text.substr(slash + 1)));
}

/// What Upgrade lists: HTTP/2 or what may become a tunnel.
Result<void> read_upgrade(RequestHead& out) {
    const bool has_body = out.framing.kind == BodyKind::chunked || out.framing.length > 0;
    for (const Field field : out.fields) {
        if (!equals_no_case(field.name, "upgrade")) {
            continue;
        }
        std::string_view list = field.value;
        while (const auto protocol = next_element(list)) {
            if (!is_protocol(*protocol)) {
                return bad("Upgrade is malformed (RFC 9110 section 7.8)");
            }
            if (is_http(*protocol)) {
                out.offers_http2 = true;
            } else if (!has_body) {
                out.upgrade.append(out.upgrade.empty() ? "" : ", ").append(*protocol);
            }
        }
    }
    return {};
}

/// Java's HttpClient offers HTTP/2 with every request: its users have to be told the way out.
Error http2_refused() {
    return {Errc::unsupported, Blame::client,
            "the request offers to go on with HTTP/2 (Upgrade: h2c), and Corral speaks HTTP/1.1. "
            "What to do: set the client to HTTP/1.1 (Java: HttpClient.newBuilder().version("
            "HttpClient.Version.HTTP_1_1)), or let Corral ignore the offer: h2cUpgrade: ignore in "
            "its config."};
}

Result<void> check_connection(RequestHead& out) {
    bool upgrade_listed = false;
    bool settings_listed = false;
    for (const Field field : out.fields) {
        if (!equals_no_case(field.name, "connection")) {
            continue;
        }
        std::string_view list = field.value;
        while (const auto option = next_element(list)) {
            if (!chars::is_token(*option)) {
                return bad("Connection is malformed (RFC 9110 section 7.6.1)");
            }
            upgrade_listed = upgrade_listed || equals_no_case(*option, "upgrade");
            settings_listed = settings_listed || equals_no_case(*option, "http2-settings");
        }
    }
    out.keep_alive = wants_keep_alive(out.fields, out.minor_version);
    if (out.minor_version == 0) {
        return {};  // HTTP/1.0 knows of no upgrade (RFC 9110 §7.8)
    }
    out.offers_http2 = settings_listed;
    return upgrade_listed ? read_upgrade(out) : Result<void>();
}

Result<void> check_expect(RequestHead& out) {
    for (const Field field : out.fields) {
        if (!equals_no_case(field.name, "expect")) {
            continue;
        }
        if (!equals_no_case(field.value, "100-continue")) {
            return refuse(HttpStatus::expectation_failed,
                          "the only expectation that is understood is 100-continue");
        }
        // HTTP/1.0 clients do not know of 100 (RFC 9110 §10.1.1).
        out.expect_continue = out.minor_version >= 1 && out.framing.kind != BodyKind::none;
    }
    return {};
}

/// A server behind us that takes the other one of two would read another body than we did.
Result<void> check_content_type(RequestHead& out) {
    std::optional<std::string_view> first;
    for (const Field field : out.fields) {
        if (!equals_no_case(field.name, "content-type")) {
            continue;
        }
        if (first && *first != field.value) {
            return bad("Content-Type is given twice (RFC 9110 section 5.3)");
        }
        first = field.value;
    }
    return {};
}

Result<void> frame_request(RequestHead& out) {
    auto framed = read_framing(out.fields, out.minor_version);
    if (!framed.problem.empty()) {
        return Error(framed.code, Blame::client, std::move(framed.problem));
    }
    if (framed.chunked) {
        out.framing = {BodyKind::chunked, 0};
    } else if (framed.length) {
        out.framing = {BodyKind::content_length, *framed.length};
    }
    return {};
}

Result<void> frame_response(const ResponseContext& context, ResponseHead& out) {
    auto framed = read_framing(out.fields, out.minor_version);
    if (!framed.problem.empty()) {
        return malformed("the answer's framing: " + framed.problem);
    }
    out.declared_length = framed.length;
    const bool never_a_body = out.status < 200 || out.status == 204;
    if (never_a_body && (framed.chunked || framed.length.value_or(0) != 0)) {
        return malformed("an answer of status " + std::to_string(out.status) +
                         " announces a body (RFC 9112 section 6.3)");
    }
    if (never_a_body || out.status == 304 || context.request_method == "HEAD") {
        out.framing = {};
    } else if (framed.chunked) {
        out.framing = {BodyKind::chunked, 0};
    } else if (framed.length) {
        out.framing = {BodyKind::content_length, *framed.length};
    } else {
        out.framing = {BodyKind::until_close, 0};
    }
    out.keep_alive = wants_keep_alive(out.fields, out.minor_version) &&
                     out.framing.kind != BodyKind::until_close;
    return {};
}

/// A 101 says to what it switches, and that is one of the protocols that were asked for.
Result<void> check_switch(const ResponseContext& context, const Fields& fields) {
    if (context.upgrade.empty()) {
        return malformed("the answer switches protocols without having been asked to");
    }
    std::string_view switched = fields.find("upgrade").value_or("");
    if (fields.count("upgrade") != 1 || !fields.lists("connection", "upgrade")) {
        return malformed("the answer switches protocols without saying to which");
    }
    while (const auto protocol = next_element(switched)) {
        std::string_view asked = context.upgrade;
        auto each = next_element(asked);
        while (each && !equals_no_case(*each, *protocol)) {
            each = next_element(asked);
        }
        if (!each) {
            return malformed("the answer switches to a protocol that was not asked for");
        }
    }
    return {};
}

}  // namespace

Result<RequestHead> parse_request_head(std::string_view head, const Limits& limits,
                                       H2cUpgrade h2c) {
    HeadScanner scanner(limits);
    auto scan = scanner.scan(head);
    if (scan.error) {
        return *std::move(scan.error);
    }
    if (scan.state != HeadScan::State::complete || scan.bytes != head.size()) {
        return bad("the head is not complete");
    }
    return parse_request_head(scanner.clean(head), h2c);
}

Result<RequestHead> parse_request_head(CleanHead clean, H2cUpgrade h2c) {
    std::string_view head = clean.text();
    if (head.starts_with("\r\n")) {
        head.remove_prefix(2);
    }
    const auto line = read_request_line(next_line(head));
    if (!line) {
        return line.error();
    }
    RequestHead out;
    out.method = line->method;
    out.minor_version = line->minor_version;
    if (auto problem = read_fields(head, out.fields)) {
        return bad(*std::move(problem));
    }
    for (const auto check : {frame_request, check_connection, check_expect, check_content_type}) {
        if (auto checked = check(out); !checked) {
            return std::move(checked).error();
        }
    }
    if (auto checked = check_target_and_host(line->target, out); !checked) {
        return std::move(checked).error();
    }
    if (out.offers_http2 && h2c == H2cUpgrade::refuse) {
        return http2_refused();
    }
    return out;
}

Result<ResponseHead> parse_response_head(std::string_view head, const ResponseContext& context,
                                         const Limits& limits) {
    HeadScanner scanner(limits, HeadOf::response);
    auto scan = scanner.scan(head);
    if (scan.error) {
        return *std::move(scan.error);
    }
    if (scan.state != HeadScan::State::complete || scan.bytes != head.size()) {
        return malformed("the answer's head is not complete");
    }
    return parse_response_head(scanner.clean(head), context);
}

Result<ResponseHead> parse_response_head(CleanHead clean, const ResponseContext& context) {
    std::string_view head = clean.text();
    ResponseHead out;
    const auto line = read_status_line(next_line(head));
    if (!line) {
        return line.error();
    }
    out.status = line->status;
    out.reason = line->reason;
    out.minor_version = line->minor_version;
    if (auto problem = read_fields(head, out.fields)) {
        return malformed("the answer's head: " + *problem);
    }
    if (auto framed = frame_response(context, out); !framed) {
        return std::move(framed).error();
    }
    if (out.status == 101) {
        if (out.minor_version == 0) {
            return malformed("the answer switches protocols in HTTP/1.0 (RFC 9110 section 7.8)");
        }
        if (auto checked = check_switch(context, out.fields); !checked) {
            return std::move(checked).error();
        }
    }
    return out;
}

}  // namespace corral::http
