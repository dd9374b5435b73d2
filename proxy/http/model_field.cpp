#include "proxy/http/model_field.hpp"

#include "proxy/http/byte_search.hpp"
#include "proxy/http/http_chars.hpp"
#include "proxy/http/utf8.hpp"

#include <algorithm>

namespace corral::http {
namespace {

/// A byte that ends a run of plain string bytes: `"`, `\`, a control character or anything beyond
/// ASCII.
constexpr auto is_special = [](auto c) {
    return (c < 0x20) | (c == '"') | (c == '\\') | (c >= 0x80);
};

/// How many bytes at the start of the text are plain ASCII of a string, or whole UTF-8 characters.
/// Most bytes of most bodies are skipped here.
std::size_t skip_string(std::string_view text) noexcept {
    std::size_t at = 0;
    while (true) {
        at += find_byte(text.substr(at), is_special);
        while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) {
            const auto [code, size] = utf8::decode(text.substr(at, 4));
            if (code == utf8::invalid) {
                return at;  // wrong, or cut off by the piece's end: byte by byte from here
            }
            at += size;
        }
        if (at >= text.size() || is_special(static_cast<unsigned char>(text[at]))) {
            return at;
        }
    }
}

constexpr bool is_space(unsigned char c) noexcept {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

constexpr bool is_digit(unsigned char c) noexcept {
    return c >= '0' && c <= '9';
}

}  // namespace

Verdict ModelField::feed(std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size() && reason_.empty();) {
        if (at_ == At::string) {
            const auto plain = skip_string(bytes.substr(i));
            if (keeping_ && !keep(bytes.substr(i, plain))) {
                break;
            }
            i += plain;
            offset_ += plain;
            if (i == bytes.size()) {
                break;
            }
        }
        if (at_ == At::integer && wanted_ != Wanted::model) {  // prompts can be arrays of tokens
            while (i < bytes.size() && is_digit(static_cast<unsigned char>(bytes[i]))) {
                ++i;
                ++offset_;
            }
            if (i == bytes.size()) {
                break;
            }
        }
        if (step(static_cast<unsigned char>(bytes[i]))) {
            ++i;
            ++offset_;
        }
    }
    return verdict();
}

Verdict ModelField::finish() {
    if (depth_ == 0 && number_is_complete()) {
        end_number();
    }
    if (reason_.empty() && at_ != At::end) {
        static_cast<void>(fail(depth_ == 0 && at_ == At::value
                                   ? "the body is empty"
                                   : "the body ends in the middle of the document"));
    }
    return verdict();
}

Verdict ModelField::verdict() const noexcept {
    if (!reason_.empty()) {
        return Verdict::malformed;
    }
    if (at_ == At::end) {
        return Verdict::complete;
    }
    return has_model_ ? Verdict::found : Verdict::need_more;
}

std::string_view ModelField::model() const noexcept {
    return has_model_ ? std::string_view(model_) : std::string_view{};
}

Error ModelField::error() const {
    return {Errc::malformed_json, Blame::client,
            "the body is not valid JSON: " + std::string(reason_) + " (at byte " +
                std::to_string(offset_) + ")"};
}

bool ModelField::fail(std::string_view reason) noexcept {
    reason_ = reason;
    return false;
}

bool ModelField::step(unsigned char c) {
    switch (at_) {
        case At::string:
            return string_byte(c);
        case At::escape:
        case At::second_backslash:
        case At::second_u:
            return escape_byte(c);
        case At::hex:
            return hex_byte(c);
        case At::utf8:
            return utf8_byte(c);
        case At::literal:
            return literal_byte(c);
        case At::value:
        case At::first_element:
        case At::first_key:
        case At::key:
        case At::colon:
        case At::after_value:
        case At::end:
            return is_space(c) || structural(c);
        default:
            return number_byte(c);
    }
}

bool ModelField::structural(unsigned char c) {
    switch (at_) {
        case At::first_element:
            return c == ']' ? close() : begin_value(c);
        case At::first_key:
            return c == '}'   ? close()
                   : c == '"' ? begin_string(true)
                              : fail("expected a key or `}`");
        case At::key:
            return c == '"' ? begin_string(true) : fail("expected a key");
        case At::colon:
            at_ = At::value;
            return c == ':' || fail("expected `:` behind a key");
        case At::after_value:
            if (c == ',') {
                at_ = is_object_[depth_] ? At::key : At::value;
                return true;
            }
            return c == (is_object_[depth_] ? '}' : ']')
                       ? close()
                       : fail("expected `,` or a closing bracket");
        case At::end:
            return fail("something follows the document");
        default:
            return begin_value(c);
    }
}

bool ModelField::begin_value(unsigned char c) {
    if (wanted_ == Wanted::model) {
        span_.first = offset_;
    }
    switch (c) {
        case '{':
            return open(true);
        case '[':
            return open(false);
        case '"':
            return begin_string(false);
        case 't':
            return begin_literal("true");
        case 'f':
            return begin_literal("false");
        case 'n':
            return begin_literal("null");
        default:
            break;
    }
    if (c != '-' && !is_digit(c)) {
        return fail("expected a value");
    }
    at_ = c == '-' ? At::minus : c == '0' ? At::zero : At::integer;
    const char first = static_cast<char>(c);
    return wanted_ != Wanted::model || keep({&first, 1});
}

bool ModelField::open(bool object) {
    if (depth_ == depth_max) {
        return fail("it is nested deeper than 128 levels");
    }
    is_object_[++depth_] = object;
    wanted_ = Wanted::nothing;
    at_ = object ? At::first_key : At::first_element;
    return true;
}

bool ModelField::close() {
    --depth_;
    end_value();
    return true;
}

void ModelField::end_value() noexcept {
    wanted_ = Wanted::nothing;
    keeping_ = false;
    at_ = depth_ == 0 ? At::end : At::after_value;
}

bool ModelField::begin_string(bool key) {
    in_key_ = key;
    key_size_ = 0;
    keeping_ = key ? depth_ == 1 : wanted_ == Wanted::model;
    at_ = At::string;
    return true;
}

bool ModelField::string_byte(unsigned char c) {
    if (c == '"') {
        return end_string();
    }
    if (c == '\\') {
        at_ = At::escape;
        return true;
    }
    if (c < 0x20) {
        return fail("a string has a control character");
    }
    const auto lead = utf8::lead(c);
    if (lead.following == 0) {
        return fail("a string is not valid UTF-8");
    }
    utf8_left_ = lead.following;
    utf8_low_ = lead.low;
    utf8_high_ = lead.high;
    at_ = At::utf8;
    const char byte = static_cast<char>(c);
    return !keeping_ || keep({&byte, 1});
}

bool ModelField::utf8_byte(unsigned char c) {
    if (c < utf8_low_ || c > utf8_high_) {
        return fail("a string is not valid UTF-8");
    }
    utf8_low_ = 0x80;
    utf8_high_ = 0xbf;
    at_ = --utf8_left_ == 0 ? At::string : At::utf8;
    const char byte = static_cast<char>(c);
    return !keeping_ || keep({&byte, 1});
}

bool ModelField::end_string() {
    if (in_key_) {
        return end_key();
    }
    if (wanted_ == Wanted::model) {
        span_.second = offset_ + 1;
        has_model_ = !model_.empty();
    }
    end_value();
    return true;
}

bool ModelField::end_key() {
    at_ = At::colon;
    wanted_ = Wanted::nothing;
    const bool top_level = keeping_;
    in_key_ = keeping_ = false;
    const std::string_view key(key_.data(), std::min(key_size_, key_.size()));
    if (!top_level || key_size_ > key_.size()) {
        return true;
    }
    if (key == "model") {
        if (saw_model_) {
            return fail("\"model\" is given more than once");
        }
        saw_model_ = true;
        wanted_ = Wanted::model;
    } else if (key == "stream") {
        stream_ = false;  // the last one counts, as in the engine
        wanted_ = Wanted::stream;
    }
    return true;
}

bool ModelField::escape_byte(unsigned char c) {
    if (at_ == At::second_backslash || at_ == At::second_u) {
        const bool first = at_ == At::second_backslash;
        if (c != (first ? '\\' : 'u')) {
            return fail("a string has half of a surrogate pair");
        }
        at_ = first ? At::second_u : At::hex;
        hex_left_ = 4;
        code_ = 0;
        return true;
    }
    if (c == 'u') {
        at_ = At::hex;
        hex_left_ = 4;
        code_ = 0;
        return true;
    }
    constexpr std::string_view names = "\"\\/bfnrt";
    constexpr std::string_view values = "\"\\/\b\f\n\r\t";
    const auto found = names.find(static_cast<char>(c));
    if (found == std::string_view::npos) {
        return fail("a string has an escape that JSON does not know");
    }
    at_ = At::string;
    return !keeping_ || keep(values.substr(found, 1));
}

bool ModelField::hex_byte(unsigned char c) {
    const int digit = chars::hex_value(c);
    if (digit < 0) {
        return fail("`\\u` is not followed by four hexadecimal digits");
    }
    code_ = code_ << 4U | static_cast<std::uint32_t>(digit);
    if (--hex_left_ > 0) {
        return true;
    }
    const bool is_low = code_ >= 0xdc00 && code_ <= 0xdfff;
    if (is_low != (high_surrogate_ != 0)) {
        return fail("a string has half of a surrogate pair");
    }
    if (code_ >= 0xd800 && code_ <= 0xdbff) {
        high_surrogate_ = code_;
        at_ = At::second_backslash;
        return true;
    }
    if (is_low) {
        code_ = 0x10000 + ((high_surrogate_ - 0xd800) << 10U) + (code_ - 0xdc00);
        high_surrogate_ = 0;
    }
    at_ = At::string;
    return !keeping_ || keep_code_point();
}

bool ModelField::keep_code_point() {
    std::string bytes;
    utf8::append(bytes, code_);
    return keep(bytes);
}

bool ModelField::keep(std::string_view decoded) {
    if (in_key_) {
        for (const char c : decoded.substr(0, key_.size() + 1)) {
            if (key_size_ < key_.size()) {
                key_[key_size_] = c;
            }
            ++key_size_;  // beyond the end: too long to be a key that matters
        }
        return true;
    }
    if (model_.size() + decoded.size() > model_bytes_max) {
        return fail("the model's name is longer than 4096 bytes");
    }
    model_ += decoded;
    return true;
}

bool ModelField::begin_literal(std::string_view text) noexcept {
    literal_ = text;
    literal_at_ = 1;
    at_ = At::literal;
    return true;
}

bool ModelField::literal_byte(unsigned char c) {
    if (c != static_cast<unsigned char>(literal_[literal_at_])) {
        return fail("expected a value");
    }
    if (++literal_at_ == literal_.size()) {
        stream_ = stream_ || (wanted_ == Wanted::stream && literal_ == "true");
        end_value();
    }
    return true;
}

bool ModelField::number_is_complete() const noexcept {
    return at_ == At::zero || at_ == At::integer || at_ == At::fraction ||
           at_ == At::exponent_digits;
}

/// False without a failure: the byte was not used because the number ended before it.
bool ModelField::number_byte(unsigned char c) {
    const bool digit = is_digit(c);
    const bool exponent = c == 'e' || c == 'E';
    At next = At::end;
    switch (at_) {
        case At::minus:
            next = c == '0' ? At::zero : digit ? At::integer : At::end;
            break;
        case At::zero:
        case At::integer:
            next = digit && at_ == At::integer ? At::integer
                   : c == '.'                  ? At::point
                   : exponent                  ? At::exponent
                                               : At::end;
            break;
        case At::point:
        case At::fraction:
            next = digit ? At::fraction : exponent && at_ == At::fraction ? At::exponent : At::end;
            break;
        case At::exponent:
            next = digit ? At::exponent_digits : c == '+' || c == '-' ? At::exponent_sign : At::end;
            break;
        default:  // exponent_sign, exponent_digits
            next = digit ? At::exponent_digits : At::end;
            break;
    }
    if (next == At::end) {
        if (!number_is_complete()) {
            return fail("a number is malformed");
        }
        end_number();
        return false;
    }
    at_ = next;
    const char byte = static_cast<char>(c);
    return wanted_ != Wanted::model || keep({&byte, 1});
}

void ModelField::end_number() {
    if (wanted_ == Wanted::model) {
        span_.second = offset_;
        has_model_ = true;
    }
    end_value();
}

}  // namespace corral::http
