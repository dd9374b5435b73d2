#pragma once
// IP addresses and ranges of them, as `trustedProxies` lists them. An IPv4 address is the same one
// when it is written as IPv6 (`::ffff:10.0.0.1`). Pure; any thread; allocates nothing.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace corral {

struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};  ///< of an IPv4 address: behind ::ffff:

    [[nodiscard]] bool is_v4() const noexcept;
    friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

/// An address as it is usually written, without brackets or port; a zone (`fe80::1%eth0`) is passed
/// over. nullopt for everything else: `127.1`, `0x7f000001` and `2130706433` are no addresses.
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text) noexcept;

struct IpRange {
    IpAddress first;      ///< bits behind the prefix are 0
    unsigned bits = 128;  ///< of the prefix, counted in 16 bytes

    /// A range of IPv6 addresses holds no IPv4 one, however wide it is.
    [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
    friend bool operator==(const IpRange&, const IpRange&) = default;
};

/// `10.0.0.0/8`, `fd00::/8`, or one address; bits behind the prefix are taken for 0.
[[nodiscard]] std::optional<IpRange> parse_ip_range(std::string_view text) noexcept;

}  // namespace corral
