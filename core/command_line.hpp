#pragma once
// Splitting a model's `cmd` into words as llama-swap's users know it: POSIX quoting, no shell,
// comment lines and line continuations. Pure; any thread.

#include "core/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// Drops lines whose first non-blank character is `#`, replaces a backslash at the end of a line by
/// a space (both also inside quotes, as llama-swap does), then splits at blanks and line ends by
/// the quoting rules of POSIX sh (XCU 2.2: backslash, single quotes, double quotes); nothing is
/// expanded and no operator has a meaning. Errors: invalid_config (an unterminated quote, or more
/// than 250,000 words: Linux starts no program with so many).
[[nodiscard]] Result<std::vector<std::string>> split_command_line(std::string_view text);

/// The text without the lines whose first non-blank character is `#`. llama-swap drops them before
/// macros are expanded, so that a macro in a comment is nobody's mistake.
[[nodiscard]] std::string strip_comment_lines(std::string_view text);

/// One word quoted so that split_command_line() gives it back byte for byte.
[[nodiscard]] std::string quote_word(std::string_view word);

}  // namespace corral
