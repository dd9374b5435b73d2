#include "proxy/api/hosts.hpp"

#include "core/ip_range.hpp"
#include "core/web_names.hpp"
#include "proxy/http/http_chars.hpp"

#include <algorithm>
#include <array>

namespace corral::api {
namespace {

using http::chars::all_of;
using http::chars::digit;

std::string_view without_dot(std::string_view name) noexcept {
    return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

bool is_in(std::string_view name, std::string_view domain) noexcept {
    return name.size() > domain.size() &&
           equals_ignoring_case(name.substr(name.size() - domain.size()), domain);
}

/// Browsers take a name whose last label is a number for an IPv4 address (WHATWG URL,
/// "ends in a number"): it never stands for what a name server says of it.
bool ends_in_number(std::string_view name) noexcept {
    const auto dot = name.rfind('.');
    const auto label = dot == std::string_view::npos ? name : name.substr(dot + 1);
    const bool is_hex =
        label.size() >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X');
    return all_of(label, digit) ||
           (is_hex && std::all_of(label.begin() + 2, label.end(), [](char c) {
                return http::chars::hex_value(static_cast<unsigned char>(c)) >= 0;
            }));
}

/// Four numbers. inet_pton() takes no other way to write them.
bool is_v4(std::string_view host) noexcept {
    const auto address = parse_ip(host);
    return address && host.find(':') == std::string_view::npos;
}

}  // namespace

bool is_local_name(std::string_view host) noexcept {
    if (host.starts_with('[')) {
        return host.ends_with(']') && host.find('%') == std::string_view::npos &&
               parse_ip(host.substr(1, host.size() - 2)).has_value();
    }
    const auto name = without_dot(host);
    if (name.empty() || name.front() == '.') {
        return false;
    }
    if (ends_in_number(name)) {
        return is_v4(host);
    }
    return name.find('.') == std::string_view::npos || is_in(name, ".local") ||
           is_in(name, ".internal");
}

bool is_allowed_host(std::string_view authority, std::string_view own_name,
                     std::span<const std::string> allowed) noexcept {
    const auto host = split_authority(authority).host;
    const auto name = without_dot(host);
    return authority.empty() || is_local_name(host) ||
           (!own_name.empty() && equals_ignoring_case(name, without_dot(own_name))) ||
           std::any_of(allowed.begin(), allowed.end(),
                       [&](const std::string& pattern) { return matches_host(pattern, name); });
}

}  // namespace corral::api
