#include "proxy/http/target.hpp"

#include "proxy/http/http_chars.hpp"
#include "proxy/http/utf8.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace corral::http {
namespace {

/// No model name has more parts; without a bound a path of slashes would cost quadratic time.
constexpr std::size_t model_segments_max = 32;
constexpr std::string_view hex_upper = "0123456789ABCDEF";
/// What percent_encode_segment() leaves as it is: unreserved and harmless sub-delimiters.
constexpr chars::Table segment_plain = chars::table_of("-._~!$&'()*+,;=:@");
/// The same in the value of a query: nothing that ends it or stands for something else.
constexpr chars::Table query_plain = chars::table_of("-._~!$'()*,:@/?");

Error bad(std::string detail) {
    return {Errc::bad_request, Blame::client, std::move(detail)};
}

void append_encoded(std::string& out, unsigned char c) {
    out += '%';
    out += hex_upper[c >> 4U];
    out += hex_upper[c & 0xfU];
}

/// Where a pair's value stands in its query, and what it is.
struct QueryPair {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool has_equals = false;
    std::string value;
};

std::optional<QueryPair> find_pair(std::string_view query, std::string_view name) {
    for (std::size_t from = 0; from < query.size();) {
        const auto end = std::min(query.find('&', from), query.size());
        const auto equals = std::min(query.find('=', from), end);
        const auto value = std::min(equals + 1, end);
        if (percent_decode(query.substr(from, equals - from), true) == name) {
            if (auto decoded = percent_decode(query.substr(value, end - value), true)) {
                return QueryPair{value, end, equals != end, *std::move(decoded)};
            }
        }
        from = end + 1;
    }
    return std::nullopt;
}

/// One segment of a path: as it stands, and decoded.
struct Segment {
    std::string_view raw;
    std::string decoded;
    bool last = false;  ///< nothing follows, not even "/"
};

bool is_raw_dot_segment(std::string_view raw) noexcept {
    return raw == "." || raw == "..";
}

Result<std::vector<Segment>> split_path(std::string_view path) {
    std::vector<Segment> out;
    path.remove_prefix(1);
    for (bool more = true; more;) {
        const auto slash = path.find('/');
        more = slash != std::string_view::npos;
        const auto raw = path.substr(0, slash);
        auto decoded = percent_decode(raw);
        if (!decoded) {
            return bad("the path has a percent sign without two hexadecimal digits");
        }
        if (decoded->find('\0') != std::string::npos) {
            return bad("the path has a NUL");
        }
        out.push_back({raw, *std::move(decoded), !more});
        path.remove_prefix(more ? slash + 1 : path.size());
    }
    return out;
}

/// Removes empty and dot segments as the peer does: RFC 3986 §5.2.4, but `/a/..` and `/a/b/.` end
/// without a slash. Error: it climbs too far.
Result<std::vector<Segment>> clean(std::vector<Segment> segments, bool& changed) {
    // A path that leaves one of these by dot segments means no good: no redirect for it.
    constexpr std::array<std::string_view, 3> trees{"ui", "upstream", "captures"};
    std::vector<Segment> out;
    for (auto& segment : segments) {
        const bool dots = is_raw_dot_segment(segment.raw);
        const bool keep_slash = segment.last && segment.raw.empty();
        changed = changed || dots || (segment.raw.empty() && !segment.last);
        if (segment.raw == "..") {
            if (out.empty()) {
                return bad("the path climbs above its root");
            }
            if (out.size() == 1 &&
                std::find(trees.begin(), trees.end(), out[0].decoded) != trees.end()) {
                return bad("the path climbs out of /" + out[0].decoded);
            }
            out.pop_back();
        } else if (!segment.raw.empty() && !dots) {
            segment.last = false;
            out.push_back(std::move(segment));
        }
        if (keep_slash) {
            out.push_back({"", "", true});
        }
    }
    if (!out.empty() && !out.back().raw.empty()) {
        out.back().last = true;
    }
    return out;
}

/// What must not be hidden by encoding, where we interpret the path ourselves.
Result<void> check_decoded(const std::vector<Segment>& segments) {
    for (const auto& [raw, decoded, last] : segments) {
        if (decoded == "." || decoded == "..") {
            return bad("the path has an encoded dot segment");
        }
        for (const char c : decoded) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7f || c == '\\') {
                return bad("the path has a control character or a backslash");
            }
        }
        // `..%2f..` would climb in whatever decodes it later.
        std::string_view rest = decoded;
        for (bool more = decoded.find('/') != std::string::npos; more;) {
            const auto slash = rest.find('/');
            more = slash != std::string_view::npos;
            if (is_raw_dot_segment(rest.substr(0, slash))) {
                return bad("the path has an encoded dot segment");
            }
            rest.remove_prefix(more ? slash + 1 : rest.size());
        }
    }
    return {};
}

/// True for a path without query that is clean and its own normal form: nearly every request.
bool is_plain(std::string_view target) noexcept {
    char before = 'x';
    for (const char c : target) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x21 || byte >= 0x7f || c == '%' || c == '?' || c == '\\' ||
            (before == '/' && (c == '/' || c == '.'))) {
            return false;
        }
        before = c;
    }
    return target.starts_with('/');
}

std::string normal_of(std::string_view decoded) {
    std::string out;
    for (const char c : decoded) {
        c == '/' || c == '%' ? append_encoded(out, static_cast<unsigned char>(c)) : void(out += c);
    }
    return out;
}

/// Bytes of raw UTF-8 become %XX, as a browser would have sent them.
std::string with_encoded_high_bytes(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        byte >= 0x80 ? append_encoded(out, byte) : void(out += c);
    }
    return out;
}

}  // namespace

std::string Target::location() const {
    return has_query ? path + "?" + query : path;
}

std::string UpstreamTarget::request_target() const {
    return has_query ? remainder + "?" + query : remainder;
}

Result<Target> parse_target(std::string_view target) {
    Target out;
    if (is_plain(target)) {
        out.path = out.normal = target;
        return out;
    }
    if (target == "*") {
        out.path = out.normal = "*";
        return out;
    }
    if (!target.starts_with('/')) {
        return bad("the request target does not start with `/`");
    }
    if (!utf8::is_valid(target)) {
        return bad("the request target is not valid UTF-8");
    }
    const auto mark = target.find('?');
    const auto raw_path = with_encoded_high_bytes(target.substr(0, mark));
    out.has_query = mark != std::string_view::npos;
    out.query = out.has_query ? with_encoded_high_bytes(target.substr(mark + 1)) : "";
    if (raw_path.find('\\') != std::string::npos) {
        return bad("the path has a backslash");
    }
    auto segments = split_path(raw_path);
    if (!segments) {
        return segments.error();
    }
    auto cleaned = clean(*std::move(segments), out.redirect);
    if (!cleaned) {
        return cleaned.error();
    }
    const bool is_upstream = cleaned->size() > 1 && cleaned->front().decoded == "upstream";
    if (!is_upstream) {
        if (auto checked = check_decoded(*cleaned); !checked) {
            return std::move(checked).error();
        }
    }
    for (const auto& [raw, decoded, last] : *cleaned) {
        out.path.append("/").append(raw);
        out.normal.append("/").append(normal_of(decoded));
    }
    if (cleaned->empty()) {
        out.path = out.normal = "/";
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        if (text.front() != '%') {
            out += plus_is_space && text.front() == '+' ? ' ' : text.front();
            text.remove_prefix(1);
            continue;
        }
        const int high =
            text.size() < 3 ? -1 : chars::hex_value(static_cast<unsigned char>(text[1]));
        const int low =
            text.size() < 3 ? -1 : chars::hex_value(static_cast<unsigned char>(text[2]));
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        out += static_cast<char>(high * 16 + low);
        text.remove_prefix(3);
    }
    return out;
}

std::string percent_encode_segment(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        segment_plain[byte] ? void(out += c) : append_encoded(out, byte);
    }
    return out;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    auto pair = find_pair(query, name);
    return pair ? std::optional(std::move(pair->value)) : std::nullopt;
}

std::string replace_query_value(std::string_view query, std::string_view name,
                                std::string_view value) {
    std::string out(query);
    if (const auto pair = find_pair(query, name)) {
        std::string text = pair->has_equals ? "" : "=";
        for (const char c : value) {
            const auto byte = static_cast<unsigned char>(c);
            query_plain[byte] ? void(text += c) : append_encoded(text, byte);
        }
        out.replace(pair->begin, pair->end - pair->begin, text);
    }
    return out;
}

std::string_view path_behind_first_segment(const Target& target) noexcept {
    const std::string_view path = target.path;
    const auto slash = path.find('/', 1);
    return slash == std::string_view::npos ? std::string_view{} : path.substr(slash);
}

Result<UpstreamTarget> split_upstream(const Target& target, const IsModel& is_model) {
    const std::string_view path = target.path;
    const auto prefix = path.find('/', 1);  // behind "upstream", however it is spelled
    const auto rest =
        prefix == std::string_view::npos ? std::string_view{} : path.substr(prefix + 1);
    UpstreamTarget out;
    std::string name;
    std::optional<std::size_t> found;
    std::size_t begin = 0;
    for (std::size_t n = 0; n < model_segments_max && begin < rest.size(); ++n) {
        const auto end = std::min(rest.find('/', begin), rest.size());
        const auto decoded = percent_decode(rest.substr(begin, end - begin));
        if (!decoded) {
            return bad("the path has a percent sign without two hexadecimal digits");
        }
        name += begin == 0 ? "" : "/";
        name += *decoded;
        if (is_model(name)) {
            found = end;
            out.model = name;
        }
        begin = end + 1;
    }
    if (!found) {
        return Error(Errc::model_not_found, Blame::client,
                     "model not found: the path behind /upstream/ begins with no model's name");
    }
    out.remainder = rest.substr(*found);
    out.query = target.query;
    out.has_query = target.has_query;
    if (out.remainder.empty()) {
        out.redirect = target.path + "/" + (target.has_query ? "?" + target.query : "");
    }
    return out;
}

}  // namespace corral::http
