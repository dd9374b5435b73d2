#include "core/listen_address.hpp"

#include <charconv>
#include <optional>
#include <sys/un.h>

namespace corral {
namespace {

constexpr std::string_view expected_address =
    "expected HOST:PORT, [IPV6]:PORT, :PORT or unix:/path/to/file.sock";
constexpr std::size_t unix_path_bytes_max = sizeof(sockaddr_un::sun_path) - 1;

Error bad_listen_address(std::string_view text, std::string_view why) {
    return {Errc::invalid_config, Blame::internal,
            "cannot listen on \"" + std::string(text) + "\": " + std::string(why)};
}

std::optional<unsigned> number_in(std::string_view digits, int base, unsigned most) {
    unsigned value = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, ec] = std::from_chars(digits.data(), end, value, base);
    const bool whole = ec == std::errc{} && at == end && value <= most;
    return whole ? std::optional(value) : std::nullopt;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
    const bool has = text.starts_with(prefix);
    text.remove_prefix(has ? prefix.size() : 0);
    return has;
}

Result<ListenAddress> unix_socket(std::string_view path, ListenAddress out) {
    if (const auto query = path.find('?'); query != std::string_view::npos) {
        std::string_view mode = path.substr(query + 1);
        const auto value =
            take_prefix(mode, "mode=") ? number_in(mode, 8, 0777) : std::optional<unsigned>();
        if (!value) {
            return bad_listen_address(out.text,
                                      "behind the path only ?mode=0660 or the like may stand");
        }
        out.mode = *value;
        path = path.substr(0, query);
    }
    if (!path.starts_with('/') || path.starts_with("//") || path.ends_with('/')) {
        return bad_listen_address(out.text,
                                  "the path of a Unix socket begins with / and names a file");
    }
    if (path.size() > unix_path_bytes_max || path.find('\0') != std::string_view::npos) {
        return bad_listen_address(out.text, "the path of a Unix socket has at most " +
                                                std::to_string(unix_path_bytes_max) + " bytes");
    }
    out.unix_path = path;
    return out;
}

Result<ListenAddress> tcp(std::string_view address, ListenAddress out) {
    const auto colon = address.rfind(':');
    std::string_view port = address;
    if (colon != std::string_view::npos) {
        std::string_view host = address.substr(0, colon);
        port = address.substr(colon + 1);
        if (host.starts_with('[') && host.ends_with(']')) {
            host = host.substr(1, host.size() - 2);
        } else if (host.find(':') != std::string_view::npos) {
            return bad_listen_address(out.text, "an IPv6 address stands in brackets: [::1]:8091");
        }
        out.host = host == "*" ? "" : host;
    }
    const auto number = number_in(port, 10, 65535);
    if (!number) {
        return bad_listen_address(out.text, expected_address);
    }
    out.port = static_cast<std::uint16_t>(*number);
    return out;
}

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
    ListenAddress out;
    out.text = text;
    if (take_prefix(text, "unix:")) {
        if (text.starts_with("///")) {  // as in `proxy:`
            text.remove_prefix(2);
        }
        return unix_socket(text, std::move(out));
    }
    if (text.starts_with('/')) {
        const bool socket = text.substr(0, text.find('?')).ends_with(".sock");
        return socket ? unix_socket(text, std::move(out))
                      : Result<ListenAddress>(bad_listen_address(
                            out.text, "a Unix socket is written unix:/path, or ends in .sock"));
    }
    if (take_prefix(text, "http://")) {
        out.tls = ListenAddress::Tls::never;
    } else if (take_prefix(text, "https://")) {
        out.tls = ListenAddress::Tls::always;
    }
    if (out.tls != ListenAddress::Tls::when_there_is_a_certificate && text.ends_with('/')) {
        text.remove_suffix(1);
    }
    return tcp(text, std::move(out));
}

}  // namespace corral
