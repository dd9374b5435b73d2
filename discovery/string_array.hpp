#pragma once
// Where a long array of strings ends, found by looking at a few places of it. A vocabulary is
// megabytes of short strings, and what matters stands behind it; reading every length would mean
// reading the file. Pure; bytes come from a ByteSource. A helper of discovery/gguf.cpp. One thread.

#include "discovery/byte_source.hpp"

#include <cstdint>
#include <optional>

namespace corral {

/// What a header has behind an array.
enum class GgufNext : std::uint8_t { pair, tensor };

/// The offset behind the `count` strings that begin at `begin`, or nullopt when no place looks
/// like it. It is a guess, certain only when all that follows makes sense up to the last tensor:
/// whoever uses it parses the rest and, on any error, goes through the array string by string.
/// Reads some twenty blocks of half a kilobyte where strings are short.
[[nodiscard]] std::optional<std::uint64_t> guess_strings_end(ByteSource& source,
                                                             std::uint64_t begin,
                                                             std::uint64_t count, GgufNext next);

}  // namespace corral
