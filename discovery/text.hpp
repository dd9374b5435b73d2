#pragma once
// Foreign text made fit for a YAML file, a comment or a terminal. Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

/// True when the bytes are UTF-8 without control characters, line and paragraph separators, byte
/// order marks and other characters that YAML does not take literally (YAML 1.2, c-printable).
[[nodiscard]] bool is_plain_utf8(std::string_view text);

/// Printable ASCII as it is, everything else as \xNN, at most `max` characters; for comments,
/// messages and terminals.
[[nodiscard]] std::string escaped(std::string_view text, std::size_t max = 4'096);

/// A YAML double-quoted scalar, quotes included. Requires is_plain_utf8(text).
[[nodiscard]] std::string yaml_quoted(std::string_view text);

/// "770.3 MiB", "12.1 GiB".
[[nodiscard]] std::string readable_bytes(std::uint64_t bytes);

}  // namespace corral
