#pragma once
// Durations, sizes and counts as people write them: "250ms", "64MiB", "2 models". Pure; any thread.

#include "core/error.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

/// The longest duration that any setting may have; adding it to a clock never overflows.
inline constexpr std::chrono::hours duration_max{24 * 365 * 100};

/// One or more numbers with a unit (ns, us, µs, ms, s, m, h), as Go's time.ParseDuration takes
/// them without a sign, or "0". Rounded down to milliseconds, but never from more than zero to
/// zero. Error: invalid_config, saying what was expected.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The same for a bare number of seconds, fractions allowed. Error when negative or too long.
[[nodiscard]] Result<std::chrono::milliseconds> duration_from_seconds(double seconds);

/// A whole number with an optional unit: B, kB, KB, MB, GB (powers of 1000) or KiB, MiB, GiB,
/// TiB (powers of 1024), blanks before the unit allowed. Error: invalid_config.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

/// 90000 ms → "90s", 250 ms → "250ms": the shortest exact spelling.
[[nodiscard]] std::string format_duration(std::chrono::milliseconds value);

/// 1 → "1 model", 2 → "2 models".
[[nodiscard]] std::string counted(std::size_t number, std::string_view noun);

}  // namespace corral
