#pragma once
// Helpers of the loader's tests: load a text with a given environment, look for a diagnostic.
#include "core/config_load.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace corral::test {

using Variables = std::map<std::string, std::string>;

inline ConfigLoad load(std::string_view yaml, const Variables& variables = {}) {
    return load_config(yaml, "t.yaml",
                       [variables](const std::string& name) -> std::optional<std::string> {
                           const auto at = variables.find(name);
                           return at != variables.end() ? std::optional(at->second) : std::nullopt;
                       });
}

/// The first diagnostic of this severity whose message or hint holds the text, or nullptr.
inline const Diagnostic* find(const ConfigLoad& loaded, Severity severity, std::string_view text) {
    const auto at = std::find_if(
        loaded.diagnostics.begin(), loaded.diagnostics.end(), [&](const Diagnostic& d) {
            return d.severity == severity && (d.message.find(text) != std::string::npos ||
                                              d.hint.find(text) != std::string::npos);
        });
    return at != loaded.diagnostics.end() ? &*at : nullptr;
}

inline const Diagnostic* error_with(const ConfigLoad& loaded, std::string_view text) {
    return find(loaded, Severity::error, text);
}

inline const Diagnostic* warning_with(const ConfigLoad& loaded, std::string_view text) {
    return find(loaded, Severity::warning, text);
}

/// Every diagnostic in one text, for CAPTURE.
inline std::string all_of(const ConfigLoad& loaded) {
    std::string out;
    for (const auto& diagnostic : loaded.diagnostics) {
        out += "\n" + format_diagnostic(diagnostic, false);
    }
    return out;
}

}  // namespace corral::test
