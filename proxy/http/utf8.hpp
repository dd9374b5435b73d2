#pragma once
// UTF-8 one character at a time (RFC 3629: no overlong forms, no surrogates, nothing above
// U+10FFFF). Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace corral::http::utf8 {

inline constexpr std::uint32_t invalid = 0xffff'ffff;

/// What may follow a lead byte: how many bytes, and the range of the first of them.
struct Lead {
    std::uint8_t following = 0;  ///< 0: not a lead byte of a longer character
    std::uint8_t low = 0x80, high = 0xbf;
};

constexpr Lead lead(unsigned char c) noexcept {
    if (c >= 0xc2 && c <= 0xdf) {
        return {1, 0x80, 0xbf};
    }
    if (c >= 0xe0 && c <= 0xef) {
        return {2, static_cast<std::uint8_t>(c == 0xe0 ? 0xa0 : 0x80),
                static_cast<std::uint8_t>(c == 0xed ? 0x9f : 0xbf)};
    }
    if (c >= 0xf0 && c <= 0xf4) {
        return {3, static_cast<std::uint8_t>(c == 0xf0 ? 0x90 : 0x80),
                static_cast<std::uint8_t>(c == 0xf4 ? 0x8f : 0xbf)};
    }
    return {};
}

/// The first character of the text and its size in bytes; {invalid, 1} when it is not one.
/// Requires: a text that is not empty.
constexpr std::pair<std::uint32_t, std::size_t> decode(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    if (byte(0) < 0x80) {
        return {byte(0), 1};
    }
    const Lead first = lead(byte(0));
    if (first.following == 0 || text.size() <= first.following || byte(1) < first.low ||
        byte(1) > first.high) {
        return {invalid, 1};
    }
    std::uint32_t code = byte(0) & (0x3fU >> first.following);
    for (std::size_t i = 1; i <= first.following; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) {
            return {invalid, 1};
        }
        code = code << 6U | (byte(i) & 0x3fU);
    }
    return {code, first.following + 1U};
}

constexpr bool is_valid(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto [code, size] = decode(text);
        if (code == invalid) {
            return false;
        }
        text.remove_prefix(size);
    }
    return true;
}

/// Appends a code point. Requires: a valid one, not a surrogate.
inline void append(std::string& out, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0U | code >> 6U);
        put(0x80U | (code & 0x3fU));
    } else if (code < 0x10000) {
        put(0xe0U | code >> 12U);
        put(0x80U | (code >> 6U & 0x3fU));
        put(0x80U | (code & 0x3fU));
    } else {
        put(0xf0U | code >> 18U);
        put(0x80U | (code >> 12U & 0x3fU));
        put(0x80U | (code >> 6U & 0x3fU));
        put(0x80U | (code & 0x3fU));
    }
}

}  // namespace corral::http::utf8
