#include "proxy/api/forwarded.hpp"

#include "core/web_names.hpp"
#include "proxy/http/http_chars.hpp"

#include <algorithm>

namespace corral::api {

std::string_view forwarded_address(std::string_view element) noexcept {
    auto text = http::chars::trim(element);
    const bool one_colon = std::count(text.begin(), text.end(), ':') == 1;
    if (text.starts_with('[') || one_colon) {
        text = split_authority(text).host;
    }
    if (text.starts_with('[') && text.ends_with(']')) {
        text = text.substr(1, text.size() - 2);
    }
    const bool plain = text.find('%') == std::string_view::npos && parse_ip(text).has_value();
    return plain ? text : std::string_view();
}

TrustedProxies::TrustedProxies(std::span<const std::string> entries) {
    for (const std::string& entry : entries) {
        if (const auto range = parse_ip_range(entry)) {
            ranges_.push_back(*range);
        } else {
            unix_ = unix_ || entry == "unix";
        }
    }
}

bool TrustedProxies::has(const IpAddress& address) const noexcept {
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [&](const IpRange& range) { return range.contains(address); });
}

bool TrustedProxies::trusts(std::string_view peer) const noexcept {
    if (ranges_.empty() && !unix_) {
        return false;
    }
    const auto address = parse_ip(peer);
    return address ? has(*address) : unix_;
}

std::string_view TrustedProxies::client(std::string_view peer,
                                        const http::Fields& fields) const noexcept {
    if (!trusts(peer)) {
        return peer;
    }
    std::string_view found = peer;
    bool any = false;
    for (std::size_t i = fields.size(); i-- > 0;) {
        if (!http::equals_no_case(fields[i].name, "x-forwarded-for")) {
            continue;
        }
        any = true;
        std::string_view list = fields[i].value;
        while (!list.empty()) {  // from its end: each proxy writes who came to it behind the rest
            const auto comma = list.rfind(',');
            const auto last = comma == std::string_view::npos ? list : list.substr(comma + 1);
            list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
            const auto address = forwarded_address(last);
            if (address.empty()) {
                return found;
            }
            found = address;
            if (!has(*parse_ip(address))) {
                return found;
            }
        }
    }
    const auto real = any ? std::string_view() : fields.find("x-real-ip").value_or("");
    const auto address = forwarded_address(real);
    return address.empty() ? found : address;
}

}  // namespace corral::api
