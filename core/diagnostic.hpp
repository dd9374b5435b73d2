#pragma once
// A mistake in a file, with its place and what to do about it. Any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

enum class Severity : std::uint8_t { note, warning, error };

struct Diagnostic {
    Severity severity = Severity::error;
    std::string file;
    int line = 0;         ///< from 1; 0 when the whole file is meant
    int column = 0;       ///< from 1, in bytes
    std::string message;  ///< what is wrong
    std::string hint;     ///< what to do, or the nearest valid name; may be empty
    std::string source;   ///< the offending line, for the caret; empty when it may hold a secret

    friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

/// "note", "warning" or "error".
[[nodiscard]] std::string_view severity_name(Severity severity) noexcept;

/// `file:line:column: error: message` with the line, a caret and the hint below it; no final
/// newline. Control characters of the file are escaped. Colours only when asked for.
[[nodiscard]] std::string format_diagnostic(const Diagnostic& diagnostic, bool colour);

/// True when any of them is an error.
[[nodiscard]] bool has_errors(const std::vector<Diagnostic>& diagnostics) noexcept;

}  // namespace corral
