#include "core/yaml_writer.hpp"

#include "core/load/yaml_scalar.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace corral {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t key_bytes_max = 1000;  // YAML 1.2, 7.4.2: an implicit key has at most 1024
constexpr std::string_view environment_macro = "${env.";

/// The length of a character of two or three bytes at `at` that must be escaped: U+0080 to U+00A0,
/// U+2028, U+2029 (line ends to some readers) and U+FEFF; 0 when it needs none.
std::size_t escaped_character_bytes(std::string_view text, std::size_t at) {
    const auto two = text.substr(at, 2);
    const auto three = text.substr(at, 3);
    if (two.size() == 2 && two[0] == '\xc2' && static_cast<unsigned char>(two[1]) <= 0xa0) {
        return 2;
    }
    return three == "\xe2\x80\xa8" || three == "\xe2\x80\xa9" || three == "\xef\xbb\xbf" ? 3 : 0;
}

unsigned code_point(std::string_view bytes) {
    const auto low = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]) & 0x3fU; };
    const auto first = static_cast<unsigned char>(bytes[0]);
    return bytes.size() == 2 ? (first & 0x1fU) << 6U | low(1)
                             : (first & 0x0fU) << 12U | low(1) << 6U | low(2);
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
}

bool needs_escape(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (is_control(text[at]) || escaped_character_bytes(text, at) > 0) {
            return true;
        }
    }
    return text.find(environment_macro) != std::string_view::npos;
}

std::string double_quoted(std::string_view text) {
    std::string out = "\"";
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (const auto bytes = escaped_character_bytes(text, at); bytes > 0) {
            out += fmt::format("\\u{:04X}", code_point(text.substr(at, bytes)));
            at += bytes - 1;
        } else if (text.substr(at).starts_with(environment_macro)) {
            out += "\\x24";  // or the reader would look for a variable
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n' || c == '\t' || c == '\r') {
            out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
        } else if (is_control(c)) {
            out += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out += '"';
}

/// Whether a reader takes the unquoted text for this very text, in block and in flow style.
bool is_plain(std::string_view text) {
    constexpr std::string_view indicators = "-?:,[]{}#&*!|>'\"%@`=<~. ";
    if (text.empty() || text.back() == ' ' || text.back() == ':' || needs_escape(text)) {
        return false;
    }
    const bool flag = text.starts_with('-') && text.size() > 1 && text[1] != ' ';
    const bool dotted = (text[0] == '.' || text[0] == '~') && text.size() > 1 && text[1] == '/';
    if (indicators.find(text[0]) != std::string_view::npos && !flag && !dotted) {
        return false;
    }
    if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos ||
        text.find_first_of("[]{},\"'`") != std::string_view::npos || text.starts_with("---")) {
        return false;
    }
    const bool date = text.size() >= 5 && text[4] == '-' && text[0] >= '0' && text[0] <= '9';
    const auto value = load::resolve_plain(text);
    return !date && std::holds_alternative<std::string>(value) && !load::to_bool(value);
}

/// Whether the text may stand in a `|` block: lines of printable characters, one line end at most
/// at the end, nothing that needs an indentation indicator.
bool is_block(std::string_view text) {
    if (text.find('\n') == std::string_view::npos || text.ends_with("\n\n") || text[0] == '\n' ||
        text[0] == ' ' || text[0] == '\t') {
        return false;
    }
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        const bool blank = line.find_first_not_of(" \t") == std::string_view::npos;
        if (needs_escape(line) || (blank && !line.empty())) {
            return false;
        }
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return true;
}

/// The text with U+FFFD for what is not UTF-8.
std::string valid_utf8(std::string_view text) {
    const bool ascii = std::all_of(text.begin(), text.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (ascii) {
        return std::string(text);
    }
    return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

class Writer {
public:
    std::string write(const Json& document) {
        if (document.is_structured() && !document.empty()) {
            node(document, 0);
            return std::move(out_);
        }
        return scalar(document) + "\n";
    }

private:
    void indent(std::size_t level) { out_.append(level * 2, ' '); }

    static std::string scalar(const Json& value) {
        if (value.is_string()) {
            return yaml_text(value.get<std::string_view>());
        }
        return value.dump();  // numbers, bools, null, {} and [] are YAML as they are
    }

    /// A mapping's or list's lines, at this level.
    void node(const Json& value, std::size_t level) {
        if (value.is_array()) {
            for (const auto& item : value) {
                indent(level);
                out_ += '-';
                rest(item, level, true);
            }
            return;
        }
        for (const auto& [name, item] : value.items()) {
            indent(level);
            const std::string key = yaml_text(name);
            out_ += key.size() > key_bytes_max ? "? " : "";
            out_ += key;
            if (key.size() > key_bytes_max) {
                out_ += '\n';
                indent(level);
            }
            out_ += ':';
            rest(item, level, false);
        }
    }

    /// What follows a `-` or a `key:` on its line and below it.
    void rest(const Json& value, std::size_t level, bool item) {
        if (value.is_structured() && !value.empty()) {
            if (item) {  // `- a: 1`: the first line of the item goes on in this one
                const auto begin = out_.size();
                node(value, level + 1);
                out_.erase(begin, level * 2 + 1);
            } else {
                out_ += '\n';
                node(value, level + 1);
            }
        } else if (const auto text = value.is_string() ? valid_utf8(value.get<std::string_view>())
                                                       : std::string();
                   is_block(text)) {
            block(text, level + 1);
        } else {
            out_ += ' ';
            out_ += scalar(value);
            out_ += '\n';
        }
    }

    void block(std::string_view text, std::size_t level) {
        const bool line_end = text.ends_with('\n');
        out_ += line_end ? " |\n" : " |-\n";
        text.remove_suffix(line_end ? 1U : 0U);
        while (true) {
            const auto end = text.find('\n');
            const auto line = text.substr(0, end);
            if (!line.empty()) {
                indent(level);
            }
            out_ += line;
            out_ += '\n';
            if (end == std::string_view::npos) {
                return;
            }
            text.remove_prefix(end + 1);
        }
    }

    std::string out_;
};

}  // namespace

std::string yaml_text(std::string_view text) {
    const std::string valid = valid_utf8(text);
    return is_plain(valid) ? valid : double_quoted(valid);
}

std::string to_yaml(const Json& document) {
    return Writer().write(document);
}

}  // namespace corral
