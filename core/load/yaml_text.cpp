#include "core/load/yaml_text.hpp"

#include <algorithm>
#include <array>

namespace corral::load {
namespace {

// The text is known to hold no control characters when these are put in.
constexpr std::string_view hidden_open = "\x01\x02";
constexpr char hidden_close = '\x03';
constexpr std::string_view macro_open = "${env.";
constexpr std::string_view hidden_start =
    "\x01\x02"
    "env.";
static_assert(macro_open.size() == hidden_start.size());

bool starts_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool continues_name(char c) {
    return starts_name(c) || (c >= '0' && c <= '9');
}

/// The end of the name that begins at `at`, or npos when there is none or `close` does not follow.
std::size_t name_end(std::string_view text, std::size_t at, char close) {
    if (at >= text.size() || !starts_name(text[at])) {
        return std::string_view::npos;
    }
    while (at < text.size() && continues_name(text[at])) {
        ++at;
    }
    return at < text.size() && text[at] == close ? at : std::string_view::npos;
}

/// Bytes of the UTF-8 character at the front (RFC 3629), 0 when it is not one.
std::size_t character_bytes(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < size) {
        return 0;
    }
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) {
            return 0;
        }
    }
    const unsigned second = byte(1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate = first == 0xed && second >= 0xa0;
    const bool beyond = first == 0xf4 && second >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

bool is_forbidden(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) {
        return (first < 0x20 && first != '\t' && first != '\n' && first != '\r') || first == 0x7f;
    }
    // U+0080 to U+009F but for U+0085, the line end of EBCDIC.
    const auto second = static_cast<unsigned char>(character[1]);
    return first == 0xc2 && second < 0xa0 && second != 0x85;
}

}  // namespace

Mark mark_of(std::string_view text, std::size_t at, int file) {
    const auto before = text.substr(0, at);
    const auto line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
            static_cast<int>(at - line_start) + 1, file};
}

std::optional<TextMistake> find_text_mistake(std::string_view text, int file) {
    constexpr std::array<std::string_view, 2> utf16{"\xff\xfe", "\xfe\xff"};
    if (std::any_of(utf16.begin(), utf16.end(),
                    [&](std::string_view bom) { return text.starts_with(bom); })) {
        return TextMistake{{1, 1, file}, "the file is UTF-16; save it as UTF-8"};
    }
    for (std::size_t at = 0; at < text.size();) {
        const auto size = character_bytes(text.substr(at, 4));
        if (size == 0) {
            return TextMistake{mark_of(text, at, file),
                               "invalid UTF-8: the file is not plain text"};
        }
        if (is_forbidden(text.substr(at, size))) {
            return TextMistake{mark_of(text, at, file), "control characters are not allowed"};
        }
        at += size;
    }
    return std::nullopt;
}

std::string hide_environment_macros(std::string_view text) {
    std::string out(text);
    for (auto at = text.find(macro_open); at != std::string_view::npos;
         at = text.find(macro_open, at + 1)) {
        const auto end = name_end(text, at + macro_open.size(), '}');
        if (end != std::string_view::npos) {
            out[at] = hidden_open[0];
            out[at + 1] = hidden_open[1];
            out[end] = hidden_close;
        }
    }
    return out;
}

std::optional<HiddenMacro> find_hidden_macro(std::string_view text, std::size_t from) {
    for (auto at = text.find(hidden_start, from); at != std::string_view::npos;
         at = text.find(hidden_start, at + 1)) {
        const auto name = at + hidden_start.size();
        const auto end = name_end(text, name, hidden_close);
        if (end != std::string_view::npos) {
            return HiddenMacro{at, end + 1, std::string(text.substr(name, end - name))};
        }
    }
    return std::nullopt;
}

bool quote_never_ends(std::string_view text, std::size_t at) {
    // A tag or an anchor may stand before the quote.
    while (at < text.size() && (text[at] == '!' || text[at] == '&')) {
        at = text.find_first_of(" \t\r\n", at);
        at = text.find_first_not_of(" \t\r\n", at);
    }
    if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) {
        return false;
    }
    const char quote = text[at++];
    for (; at < text.size(); ++at) {
        if (quote == '"' && text[at] == '\\') {
            ++at;
        } else if (text[at] == quote) {
            if (quote == '"' || at + 1 >= text.size() || text[at + 1] != quote) {
                return false;
            }
            ++at;
        }
    }
    return true;
}

}  // namespace corral::load
