#pragma once
// Who asks when a proxy stands between: X-Forwarded-* and X-Real-IP, which anybody can send, count
// only when they come from one of `trustedProxies`. Pure; any thread.

#include "core/ip_range.hpp"
#include "proxy/http/fields.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral::api {

class TrustedProxies {
public:
    /// Config::trusted_proxies.
    explicit TrustedProxies(std::span<const std::string> entries);

    /// `peer` is an address as the listener gives it; anything else is a client of a Unix socket.
    [[nodiscard]] bool trusts(std::string_view peer) const noexcept;
    /// The address of who asks: of X-Forwarded-For the last one that is no trusted proxy, else
    /// X-Real-IP, else the peer's. The peer's, too, when it is not trusted. A view of what was
    /// given.
    [[nodiscard]] std::string_view client(std::string_view peer,
                                          const http::Fields& fields) const noexcept;

private:
    [[nodiscard]] bool has(const IpAddress& address) const noexcept;

    std::vector<IpRange> ranges_;
    bool unix_ = false;
};

/// The address of an element of X-Forwarded-For: a port and brackets, which some proxies write, are
/// taken off. Empty: it is none.
[[nodiscard]] std::string_view forwarded_address(std::string_view element) noexcept;

}  // namespace corral::api
