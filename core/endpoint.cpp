#include "core/endpoint.hpp"

#include <algorithm>
#include <charconv>

namespace corral {
namespace {

Error bad(std::string_view url, std::string_view why) {
    return {Errc::invalid_config, Blame::internal,
            "invalid proxy URL \"" + std::string(url) + "\": " + std::string(why) +
                " (expected http://HOST:PORT, https://HOST:PORT or unix:///PATH)"};
}

bool plain(char c) {
    const auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' && c != '^' &&
           c != '`' && c != '{' && c != '|' && c != '}';
}

Result<std::uint16_t> parse_port(std::string_view url, std::string_view text) {
    unsigned value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || value == 0 || value > 65535) {
        return bad(url, "the port is not a number from 1 to 65535");
    }
    return static_cast<std::uint16_t>(value);
}

/// Takes `host[:port]` or `[v6][:port]` apart; returns why it cannot, or nothing.
std::string_view split_authority(std::string_view authority, std::string& host,
                                 std::string_view& port) {
    if (!authority.starts_with('[')) {
        const auto colon = authority.find(':');
        host = authority.substr(0, colon);
        if (colon != std::string_view::npos) {
            port = authority.substr(colon + 1);
        }
        return {};
    }
    const auto close = authority.find(']');
    if (close == std::string_view::npos) {
        return "the \"]\" of the IPv6 address is missing";
    }
    host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
    if (!port.empty() && !port.starts_with(':')) {
        return "only a port may follow the \"]\"";
    }
    if (!port.empty()) {
        port.remove_prefix(1);
    }
    return {};
}

}  // namespace

std::string Endpoint::authority() const {
    if (!unix_path.empty()) {
        return "localhost";
    }
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view url) {
    Endpoint out;
    if (!std::all_of(url.begin(), url.end(), plain)) {
        return bad(url, "it holds a character that a URL cannot hold");
    }
    std::string_view rest = url;
    if (rest.starts_with("unix://")) {
        rest.remove_prefix(7);
        if (!rest.starts_with('/')) {
            return bad(url, "a Unix socket needs an absolute path");
        }
        if (rest.size() > 107) {
            return bad(url, "a Unix socket path has at most 107 bytes");
        }
        out.unix_path = rest;
        return out;
    }
    if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
        out.tls = true;
    } else {
        return bad(url, "the scheme is not http, https or unix");
    }
    if (rest.find_first_of("?#") != std::string_view::npos) {
        return bad(url, "a query or a fragment has no meaning here");
    }
    const auto slash = rest.find('/');
    std::string_view authority = rest.substr(0, slash);
    if (slash != std::string_view::npos) {
        out.base_path = rest.substr(slash);
        while (!out.base_path.empty() && out.base_path.back() == '/') {
            out.base_path.pop_back();
        }
    }
    if (authority.find('@') != std::string_view::npos) {
        return bad(url, "user names and passwords do not belong into it");
    }
    std::string_view port;
    if (const auto why = split_authority(authority, out.host, port); !why.empty()) {
        return bad(url, why);
    }
    if (out.host.empty()) {
        return bad(url, "the host is missing");
    }
    out.port = out.tls ? 443 : 80;
    if (!port.empty()) {
        auto value = parse_port(url, port);
        if (!value) {
            return value.error();
        }
        out.port = *value;
    } else if (authority.ends_with(':')) {
        return bad(url, "the port is missing");
    }
    return out;
}

}  // namespace corral
