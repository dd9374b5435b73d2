#include "core/web_names.hpp"

#include "core/ip_range.hpp"

#include <algorithm>

namespace corral {
namespace {

constexpr std::string_view scheme_end = "://";
constexpr std::string_view any = "*";
constexpr std::string_view subdomains = "*.";
constexpr std::size_t name_bytes_max = 255;

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_alphanumeric(char c) noexcept {
    const char l = lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

bool is_digits(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string kept(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

/// A name, an address, or an IPv6 address in brackets.
bool is_host(std::string_view host) noexcept {
    if (host.starts_with('[')) {
        return host.ends_with(']') && host.find(':') != std::string_view::npos &&
               parse_ip(host.substr(1, host.size() - 2)).has_value();
    }
    return !host.empty() && host.size() <= name_bytes_max &&
           std::all_of(host.begin(), host.end(), [](char c) {
               return is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
           });
}

bool is_scheme(std::string_view scheme) noexcept {
    return !scheme.empty() && std::all_of(scheme.begin(), scheme.end(), [](char c) {
        return is_alphanumeric(c) || c == '-' || c == '+' || c == '.';
    });
}

bool is_web(std::string_view scheme) noexcept {
    return equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "https");
}

std::string_view usual_port(std::string_view scheme) noexcept {
    return equals_ignoring_case(scheme, "http")    ? "80"
           : equals_ignoring_case(scheme, "https") ? "443"
                                                   : std::string_view();
}

std::string_view port_of(const OriginParts& origin) noexcept {
    return origin.port.empty() ? usual_port(origin.scheme) : origin.port;
}

/// What a host pattern may be, the port being gone.
bool is_host_pattern(std::string_view host) noexcept {
    return host == any || is_host(host.starts_with(subdomains) ? host.substr(2) : host);
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return x == y || lower(x) == lower(y);
           });
}

OriginParts split_authority(std::string_view authority) noexcept {
    OriginParts out;
    const auto bracket = authority.rfind(']');
    const auto colon = authority.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || bracket < colon);
    out.host = has_port ? authority.substr(0, colon) : authority;
    out.port = has_port ? authority.substr(colon + 1) : std::string_view();
    return out;
}

bool split_origin(std::string_view origin, OriginParts& out) noexcept {
    const auto end = origin.find(scheme_end);
    if (end == std::string_view::npos) {
        return false;
    }
    out = split_authority(origin.substr(end + scheme_end.size()));
    out.scheme = origin.substr(0, end);
    return is_scheme(out.scheme) && is_host(out.host) && is_digits(out.port) &&
           !origin.ends_with(':');
}

bool is_same_authority(const OriginParts& origin, std::string_view authority) noexcept {
    OriginParts own = split_authority(authority);
    own.scheme = origin.scheme;
    return is_web(origin.scheme) && equals_ignoring_case(origin.host, own.host) &&
           port_of(origin) == port_of(own);
}

Result<std::string> read_host_pattern(std::string_view text) {
    std::string host = kept(text);
    const OriginParts parts = split_authority(host);
    const bool port_fits = is_digits(parts.port);
    host.resize(parts.host.size());
    if (host.starts_with('.')) {
        host.insert(0, any);
    }
    if (host.ends_with('.') && host != "*.") {  // which is no way to write "*"
        host.pop_back();
    }
    if (!port_fits || !is_host_pattern(host)) {
        return Error(Errc::invalid_config, Blame::internal,
                     "expected a name as it stands in a browser's address bar, like "
                     "llm.example.org, *.example.org or *");
    }
    return host;
}

bool matches_host(std::string_view pattern, std::string_view host) noexcept {
    if (pattern.starts_with(subdomains)) {
        const auto tail = pattern.substr(1);
        return host.size() > tail.size() &&
               equals_ignoring_case(host.substr(host.size() - tail.size()), tail);
    }
    return pattern == any || equals_ignoring_case(pattern, host);
}

Result<std::string> read_origin_pattern(std::string_view text) {
    std::string out = kept(text);
    if (out == any || out == "null") {
        return out;
    }
    if (out.ends_with('/') && !out.ends_with(scheme_end)) {
        out.pop_back();  // as it is copied from an address bar
    }
    const auto end = out.find(scheme_end);
    const bool has_scheme = end != std::string::npos;
    const auto rest = std::string_view(out).substr(has_scheme ? end + scheme_end.size() : 0);
    const OriginParts parts = split_authority(rest);
    const bool port_fits = parts.port == any || (is_digits(parts.port) && !rest.ends_with(':'));
    if ((has_scheme && !is_scheme(std::string_view(out).substr(0, end))) || !port_fits ||
        !is_host_pattern(parts.host)) {
        return Error(Errc::invalid_config, Blame::internal,
                     "expected the origin of a page, like https://chat.example.org, "
                     "https://*.example.org:*, app://obsidian.md, null or *");
    }
    return out;
}

bool matches_origin(std::string_view pattern, std::string_view origin) noexcept {
    if (pattern == any || equals_ignoring_case(pattern, origin)) {
        return true;
    }
    OriginParts page;
    if (pattern == "null" || !split_origin(origin, page)) {
        return false;
    }
    const auto end = pattern.find(scheme_end);
    const bool has_scheme = end != std::string_view::npos;
    OriginParts wanted =
        split_authority(has_scheme ? pattern.substr(end + scheme_end.size()) : pattern);
    wanted.scheme = has_scheme ? pattern.substr(0, end) : page.scheme;
    const bool scheme_fits =
        has_scheme ? equals_ignoring_case(wanted.scheme, page.scheme) : is_web(page.scheme);
    return scheme_fits && matches_host(wanted.host, page.host) &&
           (wanted.port == any || port_of(wanted) == port_of(page));
}

}  // namespace corral
