#include "core/load/proxy_url.hpp"

#include <algorithm>
#include <cctype>

namespace corral::load {
namespace {

bool is_hex(char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}

bool is_scheme_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
}

std::string refuse_escapes(std::string_view text) {
    for (auto at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
        if (at + 2 >= text.size() || !is_hex(text[at + 1]) || !is_hex(text[at + 2])) {
            return "invalid URL escape \"" + std::string(text.substr(at, 3)) + "\"";
        }
    }
    return {};
}

std::string refuse_port(std::string_view port) {
    const bool digits =
        port.empty() ||
        (port[0] == ':' && port.find_first_not_of("0123456789", 1) == std::string_view::npos);
    return digits ? std::string() : "invalid port \"" + std::string(port) + "\" after host";
}

std::string refuse_host(std::string_view host) {
    if (host.starts_with('[')) {
        const auto close = host.rfind(']');
        return close == std::string_view::npos ? "missing ']' in host"
                                               : refuse_port(host.substr(close + 1));
    }
    const auto colon = host.rfind(':');
    if (colon != std::string_view::npos) {
        if (auto refusal = refuse_port(host.substr(colon)); !refusal.empty()) {
            return refusal;
        }
    }
    const auto bad = host.find_first_of(" \"<>\\^`{|}");
    return bad == std::string_view::npos
               ? std::string()
               : "invalid character \"" + std::string(1, host[bad]) + "\" in host name";
}

}  // namespace

std::string url_refusal(std::string_view url) {
    const bool control = std::any_of(url.begin(), url.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (control) {
        return "invalid control character in URL";
    }
    url = url.substr(0, url.find('#'));
    const auto scheme_end = std::find_if_not(url.begin(), url.end(), is_scheme_character);
    const bool colon = scheme_end != url.end() && *scheme_end == ':';
    if (colon && scheme_end == url.begin()) {
        return "missing protocol scheme";
    }
    const bool letter = !url.empty() && std::isalpha(static_cast<unsigned char>(url[0])) != 0;
    if (colon && !letter) {
        return "first path segment in URL cannot contain colon";
    }
    std::string_view rest = url;
    if (colon) {
        rest.remove_prefix(static_cast<std::size_t>(scheme_end - url.begin()) + 1);
        if (!rest.starts_with('/')) {
            return {};  // opaque, as in mailto:x
        }
    }
    rest = rest.substr(0, rest.find('?'));
    if (rest.starts_with("//")) {
        rest.remove_prefix(2);
        const auto slash = std::min(rest.find('/'), rest.size());
        auto authority = rest.substr(0, slash);
        const auto at = authority.rfind('@');
        authority = at == std::string_view::npos ? authority : authority.substr(at + 1);
        if (auto refusal = refuse_host(authority); !refusal.empty()) {
            return refusal;
        }
    }
    return refuse_escapes(rest);
}

}  // namespace corral::load
