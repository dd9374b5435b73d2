#pragma once
// What must be known about YAML text before and beside the parser: its encoding, and where
// ${env.NAME} stands in it. Pure; any thread.

#include "core/load/report.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace corral::load {

/// A mistake in the encoding: not UTF-8, or a control character that YAML 1.2 (5.1) forbids.
struct TextMistake {
    Mark mark;
    std::string message;
};
[[nodiscard]] std::optional<TextMistake> find_text_mistake(std::string_view text, int file);

/// The place of a byte in the text of this file.
[[nodiscard]] Mark mark_of(std::string_view text, std::size_t at, int file);

/// Replaces the `${` and `}` of every ${env.NAME} by control characters, so that the parser takes
/// it for part of a word in any context, flow lists included. No byte moves.
[[nodiscard]] std::string hide_environment_macros(std::string_view text);

/// The next hidden macro at or after `from` in a parsed scalar.
struct HiddenMacro {
    std::size_t begin;
    std::size_t end;
    std::string name;
};
[[nodiscard]] std::optional<HiddenMacro> find_hidden_macro(std::string_view text, std::size_t from);

/// True when the quoted scalar that begins at `at` has no closing quote. yaml-cpp 0.7 takes the end
/// of the file for one.
[[nodiscard]] bool quote_never_ends(std::string_view text, std::size_t at);

}  // namespace corral::load
