#include "core/path_patterns.hpp"

#include <algorithm>
#include <re2/re2.h>

namespace corral {
namespace {

/// Go's syntax is RE2's default; only its writing to standard error is not wanted.
re2::RE2::Options options() {
    re2::RE2::Options out;
    out.set_log_errors(false);
    return out;
}

re2::StringPiece piece(std::string_view text) {
    return {text.data(), text.size()};
}

/// Go's words for what is wrong; RE2's own differ from version to version.
std::string_view words_for(re2::RE2::ErrorCode code) {
    using re2::RE2;
    switch (code) {
        case RE2::ErrorBadEscape:
            return "invalid escape sequence";
        case RE2::ErrorBadCharClass:
            return "invalid character class";
        case RE2::ErrorBadCharRange:
            return "invalid character class range";
        case RE2::ErrorMissingBracket:
            return "missing closing ]";
        case RE2::ErrorMissingParen:
            return "missing closing )";
        case RE2::ErrorTrailingBackslash:
            return "trailing backslash at end of expression";
        case RE2::ErrorRepeatArgument:
            return "missing argument to repetition operator";
        case RE2::ErrorRepeatSize:
            return "invalid repeat count";
        case RE2::ErrorRepeatOp:
            return "invalid nested repetition operator";
        case RE2::ErrorBadPerlOp:
            return "invalid or unsupported Perl syntax";
        case RE2::ErrorBadUTF8:
            return "invalid UTF-8";
        case RE2::ErrorBadNamedCapture:
            return "invalid named capture";
        case RE2::ErrorPatternTooLarge:
            return "expression too large";
        default:
            return {};
    }
}

}  // namespace

PathPatterns::PathPatterns() noexcept = default;
PathPatterns::PathPatterns(PathPatterns&&) noexcept = default;
PathPatterns& PathPatterns::operator=(PathPatterns&&) noexcept = default;
PathPatterns::~PathPatterns() = default;

PathPatterns::PathPatterns(const std::vector<std::string>& patterns) {
    for (const std::string& pattern : patterns) {
        auto compiled = std::make_unique<re2::RE2>(piece(pattern), options());
        if (compiled->ok()) {
            compiled_.push_back(std::move(compiled));
        }
    }
}

bool PathPatterns::matches(std::string_view path) const {
    return std::any_of(compiled_.begin(), compiled_.end(), [&](const auto& pattern) {
        return re2::RE2::PartialMatch(piece(path), *pattern);
    });
}

std::vector<std::string> default_ignore_paths() {
    return {R"(.*\.(js|json|css|png|gif|jpg|jpeg|ico|txt)$)"};
}

std::string path_pattern_mistake(std::string_view pattern) {
    const re2::RE2 compiled(piece(pattern), options());
    if (compiled.ok()) {
        return {};
    }
    const std::string_view words = words_for(compiled.error_code());
    if (words.empty()) {
        return compiled.error();
    }
    const std::string& part = compiled.error_arg();
    return std::string(words) + (part.empty() ? "" : ": `" + part + "`");
}

}  // namespace corral
