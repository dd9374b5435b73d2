#pragma once
// The table of the keys that a config may hold: names, shapes, and whether they have an effect yet.
// The loader checks files against it. Constant data; any thread.

#include <cstdint>
#include <span>
#include <string_view>

namespace corral::load {

enum class Shape : std::uint8_t {
    boolean,
    integer,
    number,
    text,
    texts,     ///< a list of scalars
    mapping,   ///< the keys of `members`
    named,     ///< names of the user's choice, each with a mapping of `members`
    anything,  ///< passed on as it is
};

enum class Support : std::uint8_t {
    works,
    later,   ///< llama-swap's, read and checked, without effect in this version
    silent,  ///< known, and without a meaning in llama-swap, too
};

struct Key {
    std::string_view name;
    Shape shape;
    Support support;
    std::span<const Key> members = {};
};

[[nodiscard]] std::span<const Key> top_level_keys() noexcept;
[[nodiscard]] std::span<const Key> model_keys() noexcept;
[[nodiscard]] std::span<const Key> group_keys() noexcept;
[[nodiscard]] std::span<const Key> profile_keys() noexcept;
[[nodiscard]] std::span<const Key> selector_keys() noexcept;
[[nodiscard]] std::span<const Key> peer_keys() noexcept;
[[nodiscard]] std::span<const Key> limit_keys() noexcept;

}  // namespace corral::load
