#pragma once
// Finding the first byte of a kind, sixteen at a time, for the parsers of this folder. Portable:
// GCC's and Clang's vector types become whatever the machine has. Pure; any thread.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace corral::http {

/// Which byte of a word that is not 0 is the first in memory that is not 0.
[[nodiscard]] constexpr std::size_t first_set_byte(std::uint64_t word) noexcept {
    const int bits = std::endian::native == std::endian::little ? std::countr_zero(word)
                                                                : std::countl_zero(word);
    return static_cast<std::size_t>(bits) / 8;
}

/// Where the first byte is that `is_wanted`, or text.size(). `is_wanted` takes one byte or a vector
/// of them, so it is made of comparisons, `&` and `|` only.
template <typename IsWanted>
[[nodiscard]] std::size_t find_byte(std::string_view text, const IsWanted& is_wanted) noexcept {
    using Block [[gnu::vector_size(16)]] = unsigned char;
    using Halves [[gnu::vector_size(16)]] = std::uint64_t;
    std::size_t at = 0;
    for (; at + sizeof(Block) <= text.size(); at += sizeof(Block)) {
        Block block;
        std::memcpy(&block, text.data() + at, sizeof block);
        const auto found = is_wanted(block);
        Halves halves;
        static_assert(sizeof halves == sizeof found);
        std::memcpy(&halves, &found, sizeof halves);
        if (halves[0] != 0) {
            return at + first_set_byte(halves[0]);
        }
        if (halves[1] != 0) {
            return at + sizeof halves[0] + first_set_byte(halves[1]);
        }
    }
    while (at < text.size() && !is_wanted(static_cast<unsigned char>(text[at]))) {
        ++at;
    }
    return at;
}

/// A byte that no header value has: a control character other than tab (RFC 9110 §5.5).
inline constexpr auto is_unclean = [](auto c) { return ((c < 0x20) & (c != '\t')) | (c == 0x7f); };

}  // namespace corral::http
