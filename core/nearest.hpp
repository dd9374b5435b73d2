#pragma once
// "Did you mean …?": the known name that a mistyped one is closest to. Pure; any thread.

#include <cstddef>
#include <span>
#include <string_view>

namespace corral {

/// How many insertions, deletions, replacements and swaps of neighbours turn a into b, letter case
/// ignored (Damerau-Levenshtein, optimal string alignment). Counts bytes.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name nearest to `wanted`, the first of equals; empty when none is near enough to be meant
/// (more than a third of the letters differ, at least one may). Names over 64 bytes are not looked
/// at.
[[nodiscard]] std::string_view nearest_name(std::string_view wanted,
                                            std::span<const std::string_view> names);

}  // namespace corral
