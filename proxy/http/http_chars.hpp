#pragma once
// Character classes of RFC 9110 §5.6 and RFC 3986 as look-up tables, for the parsers of this folder
// only. Pure; any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace corral::http::chars {

inline constexpr std::string_view digits = "0123456789";
inline constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

using Table = std::array<bool, 256>;

constexpr Table table_of(std::string_view extra, bool high_bytes = false) {
    Table out{};
    for (const std::string_view set : {digits, letters, extra}) {
        for (const char c : set) {
            out[static_cast<unsigned char>(c)] = true;
        }
    }
    for (unsigned c = 0x80; high_bytes && c < 0x100; ++c) {
        out[c] = true;
    }
    return out;
}

constexpr Table visible_and(std::string_view extra, bool high_bytes) {
    Table out = table_of(extra, high_bytes);
    for (unsigned c = 0x21; c < 0x7f; ++c) {
        out[c] = true;
    }
    return out;
}

inline constexpr Table token = table_of("!#$%&'*+-.^_`|~");
/// field-value and reason-phrase: VCHAR, obs-text, SP, HTAB.
inline constexpr Table field_value = visible_and(" \t", true);
/// A request target: visible characters and raw UTF-8 (checked later), no fragment.
inline constexpr Table target = [] {
    Table out = visible_and("", true);
    out['#'] = false;
    return out;
}();
/// A host name; stricter than reg-name, so that no list, user or path hides in it.
inline constexpr Table host_name = table_of("-._");
inline constexpr Table digit = [] {
    Table out{};
    for (const char c : digits) {
        out[static_cast<unsigned char>(c)] = true;
    }
    return out;
}();

/// How many bytes at the start of the text are of this class.
constexpr std::size_t prefix_of(std::string_view text, const Table& allowed) noexcept {
    std::size_t at = 0;
    for (const char c : text) {
        if (!allowed[static_cast<unsigned char>(c)]) {
            break;
        }
        ++at;
    }
    return at;
}

constexpr bool all_of(std::string_view text, const Table& allowed) noexcept {
    return prefix_of(text, allowed) == text.size();
}

constexpr bool is_token(std::string_view text) noexcept {
    return !text.empty() && all_of(text, token);
}

/// The value of a hex digit, or -1.
constexpr int hex_value(unsigned char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

constexpr char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Without spaces and tabs at both ends (OWS). A part of the text, also when it is empty.
constexpr std::string_view trim(std::string_view text) noexcept {
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

/// A decimal number of digits only, at most 2^63-1; nullopt otherwise.
constexpr std::optional<std::uint64_t> decimal(std::string_view text) noexcept {
    if (text.empty() || text.size() > 19 || !all_of(text, digit)) {
        return std::nullopt;
    }
    std::uint64_t value = 0;  // 19 digits never overflow 64 bits
    for (const char c : text) {
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value <= 0x7fff'ffff'ffff'ffffULL ? std::optional(value) : std::nullopt;
}

}  // namespace corral::http::chars
