#include "core/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace corral {
namespace {

/// The widest piece of a line that is shown; a longer line is cut around the caret.
constexpr std::size_t shown_bytes_max = 120;

struct Style {
    std::string_view severity, bold, dim, off;
};

Style style_of(Severity severity, bool colour) {
    if (!colour) {
        return {"", "", "", ""};
    }
    const std::string_view hue = severity == Severity::error     ? "\x1b[1;31m"
                                 : severity == Severity::warning ? "\x1b[1;33m"
                                                                 : "\x1b[1;36m";
    return {hue, "\x1b[1m", "\x1b[2m", "\x1b[0m"};
}

bool is_control(char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
}

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U;
}

/// Control characters as \xNN: a file's bytes must not move the reader's cursor.
std::string escaped(std::string_view text, std::string_view tab = " ") {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        // U+0080 to U+009F are control characters, too: a terminal may obey them.
        const bool c1 = c == '\xc2' && i + 1 < text.size() &&
                        (static_cast<unsigned char>(text[i + 1]) & 0xe0U) == 0x80U;
        if (c1) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
        } else if (c == '\t') {
            out += tab;
        } else if (is_control(c)) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out;
}

/// As wide as this text: a space for each character, and the tabs, which are as wide as they are
/// above. A terminal draws some characters over two columns; which ones is not known here.
std::string blank(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (!continues_character(c)) {
            out += c == '\t' ? '\t' : ' ';
        }
    }
    return out;
}

struct Excerpt {
    std::string text;
    std::string before_caret;
};

Excerpt excerpt_of(std::string_view source, int column) {
    const auto at = std::min(source.size(), static_cast<std::size_t>(std::max(column, 1) - 1));
    std::size_t begin = 0;
    if (source.size() > shown_bytes_max && at > shown_bytes_max / 2) {
        begin = at - shown_bytes_max / 2;
    }
    while (begin > 0 && continues_character(source[begin])) {
        --begin;
    }
    std::size_t end = std::min(source.size(), begin + shown_bytes_max);
    while (end < source.size() && continues_character(source[end])) {
        ++end;
    }
    const auto piece = [&](std::size_t from, std::size_t to) {
        return escaped(source.substr(from, std::max(from, to) - from), "\t");
    };
    const std::string before = (begin > 0 ? "…" : "") + piece(begin, at);
    return {before + piece(at, end) + (end < source.size() ? "…" : ""), blank(before)};
}

}  // namespace

std::string_view severity_name(Severity severity) noexcept {
    switch (severity) {
        case Severity::note:
            return "note";
        case Severity::warning:
            return "warning";
        case Severity::error:
            return "error";
    }
    return "error";
}

std::string format_diagnostic(const Diagnostic& diagnostic, bool colour) {
    const Style style = style_of(diagnostic.severity, colour);
    std::string place = escaped(diagnostic.file);
    if (diagnostic.line > 0) {
        place += fmt::format("{}{}:{}", place.empty() ? "line " : ":", diagnostic.line,
                             std::max(diagnostic.column, 1));
    }
    if (!place.empty()) {
        place += ": ";
    }
    std::string out = fmt::format("{}{}{}{}{}{}: {}{}{}", style.bold, place, style.off,
                                  style.severity, severity_name(diagnostic.severity), style.off,
                                  style.bold, escaped(diagnostic.message), style.off);
    if (!diagnostic.source.empty() && diagnostic.line > 0) {
        const Excerpt excerpt = excerpt_of(diagnostic.source, diagnostic.column);
        out += fmt::format("\n{}{:>5} |{} {}", style.dim, diagnostic.line, style.off, excerpt.text);
        out += fmt::format("\n{}      |{} {}{}^{}", style.dim, style.off, excerpt.before_caret,
                           style.severity, style.off);
    }
    if (!diagnostic.hint.empty()) {
        out += fmt::format("\n{}      ={} {}", style.dim, style.off, escaped(diagnostic.hint));
    }
    return out;
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) noexcept {
    return std::any_of(diagnostics.begin(), diagnostics.end(),
                       [](const Diagnostic& d) { return d.severity == Severity::error; });
}

}  // namespace corral
