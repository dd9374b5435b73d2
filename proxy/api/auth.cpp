#include "proxy/api/auth.hpp"

#include "proxy/http/http_chars.hpp"

#include <algorithm>
#include <openssl/crypto.h>
#include <optional>
#include <utility>

namespace corral::api {
namespace {

constexpr std::size_t candidate_bytes_max = 4096;

/// The rest of `value` behind `scheme `, without case.
std::optional<std::string_view> after_scheme(std::string_view value, std::string_view scheme) {
    if (value.size() > scheme.size() && value[scheme.size()] == ' ' &&
        http::equals_no_case(value.substr(0, scheme.size()), scheme)) {
        const auto rest = value.substr(scheme.size());
        return rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
    }
    return std::nullopt;
}

std::optional<std::string> decode_base64(std::string_view text) {
    static constexpr auto alphabet = http::chars::table_of("+/");
    const auto digits = http::chars::prefix_of(text, alphabet);
    const auto padding = text.size() - digits;
    if (text.empty() || text.size() % 4 != 0 || padding > 2 ||
        text.find_first_not_of('=', digits) != std::string_view::npos) {
        return std::nullopt;
    }
    std::string out(text.size() / 4 * 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    if (size < 0) {
        return std::nullopt;
    }
    out.resize(out.size() - padding);  // each `=` was decoded to a NUL
    return out;
}

std::optional<std::string> basic_password(std::string_view encoded) {
    auto decoded = decode_base64(encoded);
    const auto colon = decoded ? decoded->find(':') : std::string::npos;
    return colon != std::string::npos ? std::optional(decoded->substr(colon + 1)) : std::nullopt;
}

/// The value of a field that is there once.
struct Single {
    std::size_t count = 0;
    std::string_view value;
    bool padded = false;

    [[nodiscard]] bool is_usable() const noexcept {
        return count == 1 && !padded && value.size() <= candidate_bytes_max;
    }
};

Single single(const http::Fields& fields, std::string_view name) {
    Single out;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (http::equals_no_case(fields[i].name, name)) {
            ++out.count;
            out.value = fields[i].value;
            out.padded = fields.is_padded(i);
        }
    }
    return out;
}

std::optional<std::string> candidate(const http::Fields& fields) {
    const Single authorization = single(fields, "authorization");
    if (authorization.count > 0 && !authorization.is_usable()) {
        return std::nullopt;
    }
    if (const auto encoded = after_scheme(authorization.value, "basic")) {
        if (auto password = basic_password(*encoded)) {
            return password;
        }
    } else if (const auto token = after_scheme(authorization.value, "bearer")) {
        return std::string(*token);
    }
    const Single key = single(fields, "x-api-key");
    return key.is_usable() ? std::optional(std::string(key.value)) : std::nullopt;
}

}  // namespace

KeyRing::KeyRing(std::span<const std::string> keys)
    : empty_(keys.empty()), digest_(EVP_MD_fetch(nullptr, "SHA256", nullptr)) {
    for (const std::string& key : keys) {
        Hash made{};
        if (!key.empty() && hash(key, made)) {
            hashes_.push_back(made);
        }
    }
}

bool KeyRing::hash(std::string_view text, Hash& out) const noexcept {
    return digest_ != nullptr &&
           EVP_Digest(text.data(), text.size(), out.data(), nullptr, digest_.get(), nullptr) == 1;
}

KeyRing::Comparison KeyRing::compare(std::string_view key) const noexcept {
    Comparison out;
    Hash given{};
    const bool made = hash(key, given);
    unsigned equal = 0;
    for (const Hash& each : hashes_) {
        equal |= CRYPTO_memcmp(each.data(), given.data(), given.size()) == 0 ? 1U : 0U;
        ++out.compared;
    }
    out.found = made && equal != 0;
    return out;
}

bool is_authorized(const http::Fields& fields, const KeyRing& keys) {
    if (keys.empty()) {
        return true;
    }
    const auto given = candidate(fields);
    return given && keys.compare(*given).found;
}

}  // namespace corral::api
