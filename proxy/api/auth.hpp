#pragma once
// API keys: who may use what. Only hashes of them are held here, made once for a config; a hash
// that is compared in constant time tells nobody how much of a key is right. Pure; any thread.

#include "proxy/http/fields.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <openssl/evp.h>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral::api {

class KeyRing {
public:
    /// An empty key is left out: it must never match.
    explicit KeyRing(std::span<const std::string> keys);

    /// True when there are no keys, so that none is asked for.
    [[nodiscard]] bool empty() const noexcept { return empty_; }

    struct Comparison {
        bool found = false;
        std::size_t compared = 0;  ///< keys that were looked at: all of them, found or not
    };
    /// Compares with every key.
    [[nodiscard]] Comparison compare(std::string_view key) const noexcept;

private:
    using Hash = std::array<unsigned char, 32>;  ///< SHA-256
    struct FreeDigest {
        void operator()(EVP_MD* digest) const noexcept { EVP_MD_free(digest); }
    };
    [[nodiscard]] bool hash(std::string_view text, Hash& out) const noexcept;

    bool empty_;
    std::unique_ptr<EVP_MD, FreeDigest> digest_;
    std::vector<Hash> hashes_;
};

/// True when no keys are configured, or the request carries one of them: the password of
/// `Authorization: Basic`, else `Bearer`, else `x-api-key`; exactly one candidate is looked at.
/// A field that is there twice, or a key with a blank behind it, is none.
[[nodiscard]] bool is_authorized(const http::Fields& fields, const KeyRing& keys);

}  // namespace corral::api
