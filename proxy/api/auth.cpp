#include "proxy/api/auth.hpp"

#include <boost/beast/core/detail/base64.hpp>

#include <algorithm>
#include <optional>
#include <string_view>

namespace corral::api {
namespace {

constexpr std::size_t candidate_bytes_max = 4096;

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    return text;
}

/// The rest of `value` behind `scheme `, without case.
std::optional<std::string_view> after_scheme(std::string_view value, std::string_view scheme) {
    if (value.size() > scheme.size() && value[scheme.size()] == ' ' &&
        http::equals_no_case(value.substr(0, scheme.size()), scheme)) {
        return trimmed(value.substr(scheme.size()));
    }
    return std::nullopt;
}

std::optional<std::string> basic_password(std::string_view encoded) {
    namespace base64 = boost::beast::detail::base64;
    std::string out(base64::decoded_size(encoded.size()), '\0');
    const auto [written, read] = base64::decode(out.data(), encoded.data(), encoded.size());
    const auto rest = encoded.substr(read);
    if (rest.size() > 2 || rest.find_first_not_of('=') != std::string_view::npos) {
        return std::nullopt;
    }
    out.resize(written);
    const auto colon = out.find(':');
    return colon != std::string::npos ? std::optional(out.substr(colon + 1)) : std::nullopt;
}

std::optional<std::string> candidate(const http::Fields& fields) {
    if (fields.count("authorization") > 1) {
        return std::nullopt;
    }
    const auto authorization = fields.find("authorization").value_or("");
    if (const auto encoded = after_scheme(authorization, "basic")) {
        if (auto password = basic_password(*encoded)) {
            return password;
        }
    } else if (const auto token = after_scheme(authorization, "bearer")) {
        return std::string(*token);
    }
    if (const auto key = fields.find("x-api-key"); key && fields.count("x-api-key") == 1) {
        return std::string(*key);
    }
    return std::nullopt;
}

bool equals_in_constant_time(std::string_view a, std::string_view b) {
    unsigned difference = a.size() == b.size() ? 0U : 1U;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const unsigned char other = b.empty() ? 0U : static_cast<unsigned char>(b[i % b.size()]);
        difference |= static_cast<unsigned char>(a[i]) ^ other;
    }
    return difference == 0;
}

}  // namespace

bool is_authorized(const http::Fields& fields, std::span<const std::string> keys) {
    if (keys.empty()) {
        return true;
    }
    const auto given = candidate(fields);
    if (!given || given->empty() || given->size() > candidate_bytes_max) {
        return false;
    }
    unsigned matches = 0;
    for (const auto& key : keys) {
        matches |= !key.empty() && equals_in_constant_time(*given, key) ? 1U : 0U;
    }
    return matches != 0;
}

}  // namespace corral::api
