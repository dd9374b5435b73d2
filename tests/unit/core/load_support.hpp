#pragma once
// Helpers of the loader's tests: load a text with a given environment, look for a diagnostic, read
// a file of the source tree.
#include "core/config_load.hpp"
#include "core/file.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
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

/// The config that the text means; it must have no errors.
inline Config good(std::string_view yaml, const Variables& variables = {}) {
    auto loaded = load(yaml, variables);
    INFO(all_of(loaded));
    REQUIRE(loaded.config);
    return *loaded.config;
}

/// The model with this id, which must be there.
inline const ModelConfig& model(const Config& config, const std::string& id) {
    const auto* found = config.find_id(ModelId(id));
    REQUIRE(found != nullptr);
    return *found;
}

/// A file with one model `m` whose mapping holds these lines besides a good cmd.
inline std::string model_with(const std::string& keys) {
    return "models:\n  m:\n    cmd: server --port ${PORT}\n    " + keys + "\n";
}

/// A file and what is said about it.
struct Row {
    std::string yaml;
    const char* says;
    int line = 0;  ///< 0: not looked at
};

/// The file is refused in these words.
inline void check_refused(const Row& row, const Variables& variables = {}) {
    CAPTURE(row.yaml);
    const auto loaded = load(row.yaml, variables);
    CAPTURE(all_of(loaded));
    CAPTURE(std::string(row.says));
    const auto* found = error_with(loaded, row.says);
    REQUIRE(found != nullptr);
    CHECK(!loaded.config);
    CHECK(found->file == "t.yaml");
    CHECK((row.line == 0 || found->line == row.line));
}

/// The file is served, and a strict check says this.
inline void check_warned(const Row& row) {
    CAPTURE(row.yaml);
    const auto loaded = load(row.yaml);
    CAPTURE(all_of(loaded));
    CAPTURE(std::string(row.says));
    const auto* found = warning_with(loaded, row.says);
    REQUIRE(found != nullptr);
    CHECK(loaded.config);
    CHECK(!has_errors(loaded.diagnostics));
    CHECK((row.line == 0 || found->line == row.line));
}

/// A file of the source tree.
inline std::string repository_file(const char* name) {
    const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
    auto text = read_text_file((root / name).string(), 1U << 20U);
    REQUIRE(text.has_value());
    return *text;
}

}  // namespace corral::test
