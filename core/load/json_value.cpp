#include "core/load/json_value.hpp"

#include "core/load/loading.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

namespace corral::load {
namespace {

constexpr std::size_t json_bytes_max = 1U << 20U;

/// The shortest digits that mean a number, and the place of its point.
struct Digits {
    std::string digits;  ///< without a point and without zeros at the end
    int exponent = 0;    ///< of the first digit
};

Digits shortest(double value) {
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   std::chars_format::scientific);
    const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
    const auto e = text.find('e');
    Digits out;
    for (const char c : text.substr(0, e)) {
        if (c != '.') {
            out.digits += c;
        }
    }
    const auto sign = text[e + 1] == '+' ? e + 2 : e + 1;
    std::from_chars(text.data() + sign, text.data() + text.size(), out.exponent);
    return out;
}

/// strconv.FormatFloat(value, 'f', -1, 64): the shortest digits, filled up with zeros.
std::string without_exponent(double value) {
    auto [digits, exponent] = shortest(std::abs(value));
    if (exponent < 0) {
        digits.insert(0, static_cast<std::size_t>(-exponent), '0');
        exponent = 0;
    }
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() < whole) {
        digits.append(whole - digits.size(), '0');
    } else if (digits.size() > whole) {
        digits.insert(whole, 1, '.');
    }
    return (std::signbit(value) ? "-" : "") + digits;
}

/// encoding/json's: an exponent below 1e-6 and from 1e21 on, without a zero before it.
std::string go_json_number(double value) {
    const double size = std::abs(value);
    if (size == 0 || (size >= 1e-6 && size < 1e21)) {
        return without_exponent(value);
    }
    auto [digits, exponent] = shortest(size);
    if (digits.size() > 1) {
        digits.insert(1, 1, '.');
    }
    return (value < 0 ? "-" : "") + digits + (exponent < 0 ? "e-" : "e+") +
           std::to_string(std::abs(exponent));
}

void append_escape(std::string& out, unsigned code) {
    constexpr std::string_view hex = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) {
        out += hex[(code >> static_cast<unsigned>(shift)) & 0xfU];
    }
}

/// The bytes of the UTF-8 character at the beginning of `text`; 0 when there is none: the value of
/// an environment variable may be anything.
std::size_t character_bytes(std::string_view text) {
    const auto byte = [&](std::size_t at) {
        return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
    };
    const unsigned first = byte(0);
    const std::size_t size = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    // Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte.
    const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (std::size_t i = 1; i < size; ++i) {
        if (byte(i) < (i == 1 ? least : 0x80) || byte(i) > (i == 1 ? most : 0xbf)) {
            return 0;
        }
    }
    return size;
}

void append_ascii(std::string& out, char c) {
    constexpr std::string_view named = "\n\r\t\b\f";
    constexpr std::string_view letters = "nrtbf";
    if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
    } else if (const auto at = named.find(c); at != std::string_view::npos) {
        out += '\\';
        out += letters[at];
    } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&') {
        append_escape(out, static_cast<unsigned char>(c));
    } else {
        out += c;
    }
}

void append_string(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const auto size = character_bytes(text);
        const auto character = text.substr(0, size);
        if (size == 0) {
            append_escape(out, 0xfffd);
        } else if (size == 1) {
            append_ascii(out, text[0]);
        } else if (character == "\xe2\x80\xa8" || character == "\xe2\x80\xa9") {
            append_escape(out, character.back() == '\xa8' ? 0x2028 : 0x2029);
        } else {
            out += character;
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    out += '"';
}

/// Writes a node and what is below it.
class Writer {
public:
    Writer(Reader& reader, const Node& top, std::string_view path)
        : reader_(reader), top_(top), path_(path) {}

    std::optional<std::string> write() {
        if (!append(top_)) {
            return std::nullopt;
        }
        if (!reader_.spend(out_.size())) {
            too_large();
            return std::nullopt;
        }
        return std::move(out_);
    }

private:
    bool append(const Node& node) {
        const bool done = node.is_map()        ? append_map(node)
                          : node.is_sequence() ? append_list(node)
                                               : append_scalar(node);
        if (done && out_.size() > json_bytes_max) {
            too_large();
            return false;
        }
        return done;
    }

    bool append_map(const Node& node) {
        out_ += '{';
        for (const Entry& entry : in_order(node)) {
            out_ += out_.back() == '{' ? "" : ",";
            append_string(out_, entry.key->text);
            out_ += ':';
            if (!append(*entry.value)) {
                return false;
            }
        }
        out_ += '}';
        return true;
    }

    bool append_list(const Node& node) {
        out_ += '[';
        for (const Node* item : node.items) {
            out_ += out_.back() == '[' ? "" : ",";
            if (!append(*item)) {
                return false;
            }
        }
        out_ += ']';
        return true;
    }

    bool append_scalar(const Node& node) {
        const auto value = reader_.scalar(node, path_);
        if (!value) {
            return false;
        }
        const auto json = json_of(*value);
        if (!json) {
            reader_.report().warn(node.mark, reader_.place(path_) + ": JSON has no number " +
                                                 to_text(*value) + ": the value is left out");
            return false;
        }
        out_ += *json;
        return true;
    }

    void too_large() {
        reader_.report().error(top_.mark,
                               reader_.place(path_) +
                                   " is too large: more than 1 MiB of JSON in one value, or 64 "
                                   "MiB in the whole file");
    }

    Reader& reader_;
    const Node& top_;
    std::string_view path_;
    std::string out_;
};

}  // namespace

std::optional<std::string> json_of(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
        std::string out;
        append_string(out, *text);
        return out;
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return std::isfinite(*number) ? std::optional(go_json_number(*number)) : std::nullopt;
    }
    return std::holds_alternative<std::monostate>(value) ? "null" : to_text(value);
}

std::optional<std::string> plain_json_of(const Value& value) {
    if (const auto* number = std::get_if<double>(&value)) {
        return std::isfinite(*number) ? std::optional(without_exponent(*number)) : std::nullopt;
    }
    const auto* text = std::get_if<std::string>(&value);
    const bool plain = text != nullptr && std::all_of(text->begin(), text->end(), [](char c) {
                           return static_cast<unsigned char>(c) >= 0x20 &&
                                  static_cast<unsigned char>(c) <= 0x7f && c != '"' && c != '\\';
                       });
    return plain ? "\"" + *text + "\"" : json_of(value);
}

std::optional<std::string> read_json(Reader& reader, const Node& node, std::string_view path) {
    return Writer(reader, node, path).write();
}

std::optional<std::string> read_setting(Reader& reader, const Node& node, std::string_view path) {
    if (node.is_map() || node.is_sequence()) {
        return read_json(reader, node, path);
    }
    const auto value = reader.scalar(node, path);
    if (!value) {
        return std::nullopt;
    }
    auto json = plain_json_of(*value);
    if (!json) {
        reader.report().warn(node.mark, reader.place(path) + ": JSON has no number " +
                                            to_text(*value) + ": the value is left out");
    }
    return json;
}

std::string read_metadata(Reader& reader, const Node& metadata, const std::string& path) {
    if (metadata.is_null()) {
        return {};
    }
    if (!metadata.is_map()) {
        reader.type_error(metadata, path, "map[string]interface {} (a mapping)");
        return {};
    }
    return metadata.entries.empty() ? std::string()
                                    : read_json(reader, metadata, path).value_or("");
}

}  // namespace corral::load
