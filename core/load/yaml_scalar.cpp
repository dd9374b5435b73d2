#include "core/load/yaml_scalar.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace corral::load {
namespace {

template <std::size_t N>
bool one_of(std::string_view text, const std::array<std::string_view, N>& list) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

constexpr std::array<std::string_view, 5> nulls{"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 3> trues{"true", "True", "TRUE"};
constexpr std::array<std::string_view, 3> falses{"false", "False", "FALSE"};
constexpr std::array<std::string_view, 8> old_trues{"y",   "Y",  "yes", "Yes",
                                                    "YES", "on", "On",  "ON"};
constexpr std::array<std::string_view, 8> old_falses{"n",  "N",   "no",  "No",
                                                     "NO", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 3> nans{".nan", ".NaN", ".NAN"};
constexpr std::array<std::string_view, 6> infinities{".inf",  ".Inf",  ".INF",
                                                     "+.inf", "+.Inf", "+.INF"};
constexpr std::array<std::string_view, 3> negative_infinities{"-.inf", "-.Inf", "-.INF"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool underscores_between_digits(std::string_view text) {
    for (auto at = text.find('_'); at != std::string_view::npos; at = text.find('_', at + 1)) {
        if (at == 0 || at + 1 == text.size() || !is_digit(text[at - 1]) ||
            !is_digit(text[at + 1])) {
            return false;
        }
    }
    return true;
}

/// Go's strconv.ParseInt with base 0, after the underscores are gone: 0x, 0o, 0b, and a leading 0
/// for octal.
std::optional<Value> parse_whole(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) {
        text.remove_prefix(1);
    }
    int base = 10;
    if (text.size() > 2 && text[0] == '0') {
        const char letter = static_cast<char>(text[1] | 0x20);
        base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
        if (base != 10) {
            text.remove_prefix(2);
        }
    }
    if (base == 10 && text.size() > 1 && text[0] == '0') {
        base = 8;
        text.remove_prefix(1);
    }
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    constexpr auto top = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (negative) {
        if (value > top + 1) {
            return std::nullopt;
        }
        return Value(value == top + 1 ? std::numeric_limits<std::int64_t>::min()
                                      : -static_cast<std::int64_t>(value));
    }
    if (value > top) {
        return Value(value);
    }
    return Value(static_cast<std::int64_t>(value));
}

/// yaml.v3's idea of a float: [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
    std::size_t at = 0;
    const auto digits = [&] {
        const auto begin = at;
        while (at < text.size() && is_digit(text[at])) {
            ++at;
        }
        return at - begin;
    };
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) {
        ++at;
    }
    const bool whole = digits() > 0;
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (digits() == 0 && !whole) {
            return false;
        }
    } else if (!whole) {
        return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '-' || text[at] == '+')) {
            ++at;
        }
        if (digits() == 0) {
            return false;
        }
    }
    return at == text.size();
}

std::optional<Value> parse_float(std::string_view text) {
    if (!looks_like_float(text)) {
        return std::nullopt;
    }
    if (text.starts_with('+')) {
        text.remove_prefix(1);
    }
    double value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec == std::errc::result_out_of_range) {
        // from_chars does not say on which side. Go rounds what is too small to zero, and leaves
        // what is too large a string.
        const double rounded = std::strtod(std::string(text).c_str(), nullptr);
        return std::isinf(rounded) ? std::nullopt : std::optional(Value(rounded));
    }
    if (ec != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return Value(value);
}

/// strconv.FormatFloat(v, 'g', -1, 64): the shortest digits, with an exponent below 1e-4 and from
/// 1e6 on.
std::string go_float(double value) {
    if (std::isnan(value)) {
        return "NaN";
    }
    if (std::isinf(value)) {
        return value > 0 ? "+Inf" : "-Inf";
    }
    std::array<char, 512> buffer{};
    const auto scientific = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                          std::chars_format::scientific);
    const std::string_view text(buffer.data(),
                                static_cast<std::size_t>(scientific.ptr - buffer.data()));
    const auto e = text.find('e');
    int exponent = 0;
    const auto* sign_skipped = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
    std::from_chars(sign_skipped, text.data() + text.size(), exponent);
    if (value != 0 && (exponent < -4 || exponent >= 6)) {
        return std::string(text);  // already with two exponent digits, as Go
    }
    std::array<char, 512> fixed{};
    const auto end =
        std::to_chars(fixed.data(), fixed.data() + fixed.size(), value, std::chars_format::fixed);
    return {fixed.data(), end.ptr};
}

}  // namespace

Value resolve_plain(std::string_view text) {
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    if (one_of(text, nulls)) {
        return std::monostate{};
    }
    if (one_of(text, trues)) {
        return true;
    }
    if (one_of(text, falses)) {
        return false;
    }
    if (one_of(text, nans)) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    if (one_of(text, infinities)) {
        return infinity;
    }
    if (one_of(text, negative_infinities)) {
        return -infinity;
    }
    const char first = text[0];
    if (!is_digit(first) && first != '+' && first != '-' && first != '.') {
        return std::string(text);
    }
    if (first == '.' && !underscores_between_digits(text)) {
        return std::string(text);  // here alone yaml.v3 leaves the underscores to Go's rules
    }
    std::string plain(text);
    std::erase(plain, '_');
    if (first != '.') {
        if (auto whole = parse_whole(plain)) {
            return *whole;
        }
    }
    if (auto number = parse_float(plain)) {
        return *number;
    }
    return std::string(text);
}

Value resolve(const Node& node) {
    if (node.is_null()) {
        return std::monostate{};
    }
    if (node.tag == Tag::text) {
        return node.text;
    }
    Value value = resolve_plain(node.text);
    if (node.tag == Tag::number) {
        if (const auto number = to_number(value)) {
            return *number;
        }
    }
    return value;
}

std::optional<bool> to_bool(const Value& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
        return *flag;
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
        if (one_of(*text, old_trues)) {
            return true;
        }
        if (one_of(*text, old_falses)) {
            return false;
        }
    }
    return std::nullopt;
}

std::optional<std::int64_t> to_integer(const Value& value) {
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        return *whole;
    }
    if (const auto* number = std::get_if<double>(&value)) {
        // 2^63 itself is not representable; NaN fails both comparisons.
        if (*number > -9.2e18 && *number < 9.2e18) {
            return static_cast<std::int64_t>(*number);
        }
    }
    return std::nullopt;
}

std::optional<double> to_number(const Value& value) {
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        return static_cast<double>(*whole);
    }
    if (const auto* large = std::get_if<std::uint64_t>(&value)) {
        return static_cast<double>(*large);
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return *number;
    }
    return std::nullopt;
}

std::string to_text(const Value& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
        return *flag ? "true" : "false";
    }
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
        return std::to_string(*whole);
    }
    if (const auto* large = std::get_if<std::uint64_t>(&value)) {
        return std::to_string(*large);
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return go_float(*number);
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
        return *text;
    }
    return "<nil>";
}

std::string_view tag_name(const Value& value) {
    constexpr std::array<std::string_view, 6> names{"!!null", "!!bool",  "!!int",
                                                    "!!int",  "!!float", "!!str"};
    return names.at(value.index());
}

}  // namespace corral::load
