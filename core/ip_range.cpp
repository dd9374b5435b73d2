#include "core/ip_range.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <netinet/in.h>

namespace corral {
namespace {

constexpr unsigned v4_prefix_bits = 96;
constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::size_t text_bytes_max = 45;  ///< of an address, the longest way it can be written

/// inet_pton() for a text that need not end with a NUL.
bool read_address(int family, std::string_view text, std::uint8_t* into) noexcept {
    std::array<char, text_bytes_max + 1> copy{};
    if (text.empty() || text.size() > text_bytes_max || text.find('\0') != std::string_view::npos) {
        return false;
    }
    std::copy(text.begin(), text.end(), copy.begin());
    return ::inet_pton(family, copy.data(), into) == 1;
}

void clear_behind(IpAddress& address, unsigned bits) noexcept {
    for (unsigned i = 0; i < address.bytes.size(); ++i) {
        const unsigned kept = std::clamp(bits, i * 8, i * 8 + 8) - i * 8;
        address.bytes[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
    }
}

}  // namespace

bool IpAddress::is_v4() const noexcept {
    return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
}

std::optional<IpAddress> parse_ip(std::string_view text) noexcept {
    IpAddress out;
    if (read_address(AF_INET, text, out.bytes.data() + v4_prefix.size())) {
        std::copy(v4_prefix.begin(), v4_prefix.end(), out.bytes.begin());
        return out;
    }
    if (read_address(AF_INET6, text.substr(0, text.find('%')), out.bytes.data())) {
        return out;
    }
    return std::nullopt;
}

bool IpRange::contains(const IpAddress& address) const noexcept {
    if (bits < v4_prefix_bits && address.is_v4()) {
        return false;
    }
    IpAddress prefix = address;
    clear_behind(prefix, bits);
    return prefix == first;
}

std::optional<IpRange> parse_ip_range(std::string_view text) noexcept {
    const auto slash = text.find('/');
    const auto written = text.substr(0, slash);
    const auto address = parse_ip(written);
    if (!address) {
        return std::nullopt;
    }
    IpRange out{*address, 128};
    if (slash != std::string_view::npos) {
        const unsigned before = written.find(':') == std::string_view::npos ? v4_prefix_bits : 0;
        const auto digits = text.substr(slash + 1);
        const char* const end = digits.data() + digits.size();
        const auto [at, ec] = std::from_chars(digits.data(), end, out.bits);
        if (ec != std::errc{} || at != end || digits.empty() || out.bits > 128 - before) {
            return std::nullopt;
        }
        out.bits += before;
    }
    clear_behind(out.first, out.bits);
    return out;
}

}  // namespace corral
