// Escaping and UTF-8; see text.hpp.

#include "discovery/text.hpp"

#include <fmt/format.h>

#include <array>

namespace corral {

namespace {

/// The next code point, or 0 for bytes that are no UTF-8 (and for NUL); `text` is moved past it.
char32_t take_code_point(std::string_view& text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    std::size_t length = 1;
    char32_t value = lead;
    char32_t least = 0;
    if (lead >= 0xF0 && lead < 0xF5) {
        length = 4;
        value = lead & 0x07U;
        least = 0x10000;
    } else if (lead >= 0xE0 && lead < 0xF0) {
        length = 3;
        value = lead & 0x0FU;
        least = 0x800;
    } else if (lead >= 0xC2 && lead < 0xE0) {
        length = 2;
        value = lead & 0x1FU;
        least = 0x80;
    } else if (lead >= 0x80) {
        return 0;
    }
    if (length > text.size()) {
        return 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return 0;
        }
        value = (value << 6U) | (byte(i) & 0x3FU);
    }
    text.remove_prefix(length);
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    return value < least || surrogate || value > 0x10FFFF ? 0 : value;
}

bool is_plain(char32_t c) {
    const bool control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
    const bool separator = c == 0x2028 || c == 0x2029;
    const bool not_yaml = c == 0xFEFF || c == 0xFFFE || c == 0xFFFF;
    return !control && !separator && !not_yaml;
}

}  // namespace

bool is_plain_utf8(std::string_view text) {
    while (!text.empty()) {
        if (!is_plain(take_code_point(text))) {  // 0 counts as a control character
            return false;
        }
    }
    return true;
}

std::string escaped(std::string_view text, std::size_t max) {
    std::string result;
    for (const char c : text) {
        if (result.size() >= max) {
            result += "...";
            break;
        }
        if (c >= 0x20 && c < 0x7F) {
            result += c;
        } else {
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    return result;
}

std::string yaml_quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += '\\';
        }
        result += c;
    }
    result += '"';
    return result;
}

std::string readable_bytes(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 5> units{"KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, units.at(unit));
}

}  // namespace corral
