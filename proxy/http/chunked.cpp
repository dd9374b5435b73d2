#include "proxy/http/chunked.hpp"

#include "proxy/http/http_chars.hpp"

#include <algorithm>
#include <charconv>

namespace corral::http {
namespace {

/// What a chunk's framing may cost without being counted against the sender: the size, CRLF twice,
/// and a little for a short extension.
constexpr std::size_t fair_overhead = 32;
/// A longer size is for a larger chunk than is ever seen whole.
constexpr unsigned plain_digits_max = 8;

bool is_space(unsigned char c) noexcept {
    return c == ' ' || c == '\t';
}

}  // namespace

bool ChunkDecoder::fail(std::string_view reason) noexcept {
    reason_ = reason;
    at_ = At::error;
    return false;
}

ChunkDecoder::Step ChunkDecoder::feed(std::string_view bytes) {
    std::size_t used = 0;
    const bool from_its_start = at_ == At::size_first;
    while (used < bytes.size() && at_ != At::done && at_ != At::error) {
        if (at_ == At::data) {
            const auto piece = static_cast<std::size_t>(
                std::min<std::uint64_t>(left_, static_cast<std::uint64_t>(bytes.size() - used)));
            const auto payload = bytes.substr(used, piece);
            used += piece;
            left_ -= piece;
            payload_bytes_ += piece;
            at_ = left_ == 0 ? At::data_cr : At::data;
            if (!from_its_start || !plain_ || left_ != 0 || bytes.substr(used, 2) != chunk_suffix) {
                return {State::payload, used, payload, {}};
            }
            used += chunk_suffix.size();
            at_ = At::size_first;
            return {State::payload, used, payload, bytes.substr(0, used)};
        }
        if (!framing_byte(static_cast<unsigned char>(bytes[used]))) {
            break;
        }
        ++used;
    }
    if (at_ == At::error) {
        return {State::error, used, {}, {}};
    }
    return {at_ == At::done ? State::done : State::need_more, used, {}, {}};
}

bool ChunkDecoder::framing_byte(unsigned char c) {
    switch (at_) {
        case At::data_cr:
            at_ = At::data_lf;
            return c == '\r' || fail("a chunk is longer than its size says");
        case At::data_lf:
            at_ = At::size_first;
            line_bytes_ = 0;
            return c == '\n' || fail("a chunk does not end with CRLF");
        case At::trailer_start:
        case At::trailer_name:
        case At::trailer_value:
        case At::trailer_lf:
        case At::last_lf:
            return trailer_byte(c);
        default:
            break;
    }
    if (++line_bytes_ > line_bytes_max) {
        return fail("a chunk's size line is too long");
    }
    return at_ < At::ext_start ? size_byte(c) : extension_byte(c);
}

bool ChunkDecoder::size_byte(unsigned char c) {
    if (at_ != At::size_space) {
        if (const int digit = chars::hex_value(c); digit >= 0) {
            const bool first = at_ == At::size_first;
            left_ = first ? 0 : left_;
            digits_ = first ? 1 : digits_ + 1;
            plain_ = first ? c != '0' : plain_ && digits_ <= plain_digits_max;
            plain_ = plain_ && (c < 'A' || c > 'F');
            at_ = At::size;
            left_ = left_ << 4U | static_cast<std::uint64_t>(digit);
            return digits_ <= 16 || fail("a chunk size has more than 16 digits");
        }
        if (at_ == At::size_first) {
            return fail("a chunk size is not a hexadecimal number (RFC 9112 section 7.1)");
        }
    }
    if (is_space(c)) {
        at_ = At::size_space;  // only before an extension
        return true;
    }
    if (c == ';') {
        plain_ = false;
        at_ = At::ext_start;
        return true;
    }
    if (c == '\r' && at_ == At::size) {
        at_ = At::size_lf;
        return true;
    }
    return fail("a chunk size is followed by something else than CRLF or an extension");
}

/// chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 §7.1.1.
bool ChunkDecoder::extension_byte(unsigned char c) {
    constexpr std::string_view malformed =
        "a chunk extension is malformed (RFC 9112 section 7.1.1)";
    const bool is_token = chars::token[c];
    switch (at_) {
        case At::size_lf:
            return c == '\n' ? end_size_line() : fail("a chunk's size line does not end with CRLF");
        case At::ext_start:
            at_ = is_token ? At::ext_name : At::ext_start;
            return is_token || is_space(c) || fail(malformed);
        case At::ext_value_start:
            at_ = is_token ? At::ext_token : c == '"' ? At::ext_quoted : At::ext_value_start;
            return is_token || c == '"' || is_space(c) || fail(malformed);
        case At::ext_quoted:
            at_ = c == '"' ? At::ext_after_quoted : c == '\\' ? At::ext_escape : At::ext_quoted;
            return chars::field_value[c] || fail(malformed);
        case At::ext_escape:
            at_ = At::ext_quoted;
            return chars::field_value[c] || fail(malformed);
        case At::ext_name:
        case At::ext_token:
            return is_token || extension_end(c) || fail(malformed);
        default:
            return extension_end(c) || fail(malformed);
    }
}

/// What may stand behind an extension's name or value. Spaces only before `;` or `=`, never before
/// the line's end.
bool ChunkDecoder::extension_end(unsigned char c) noexcept {
    const bool name = at_ == At::ext_name || at_ == At::ext_after_name;
    const bool spaced = at_ == At::ext_after_name || at_ == At::ext_after_value;
    if (is_space(c)) {
        at_ = name ? At::ext_after_name : At::ext_after_value;
    } else if (c == ';') {
        at_ = At::ext_start;
    } else if (c == '=' && name) {
        at_ = At::ext_value_start;
    } else if (c == '\r' && !spaced) {
        at_ = At::size_lf;
    } else {
        return false;
    }
    return true;
}

bool ChunkDecoder::end_size_line() {
    // Many tiny chunks with long lines would cost us far more than they carry (Go's
    // CVE-2023-39326).
    overhead_ += line_bytes_;
    const auto due = fair_overhead + 2 * std::min<std::uint64_t>(left_, overhead_bytes_max);
    overhead_ -= std::min<std::size_t>(overhead_, static_cast<std::size_t>(due));
    if (overhead_ > overhead_bytes_max) {
        return fail("the chunked body is mostly framing");
    }
    if (left_ > 0x7fff'ffff'ffff'ffffULL) {
        return fail("a chunk size is too large");
    }
    line_bytes_ = 0;
    at_ = left_ == 0 ? At::trailer_start : At::data;
    return true;
}

/// Trailer fields are checked like header fields and dropped: never merged (RFC 9112 §7.1.2).
bool ChunkDecoder::trailer_byte(unsigned char c) {
    if (++trailer_bytes_ > trailer_bytes_max) {
        return fail("the trailer is too long");
    }
    switch (at_) {
        case At::trailer_start:
            at_ = c == '\r' ? At::last_lf : At::trailer_name;
            return c == '\r' || chars::token[c] || fail("a trailer field's name is malformed");
        case At::trailer_name:
            at_ = c == ':' ? At::trailer_value : At::trailer_name;
            return c == ':' || chars::token[c] || fail("a trailer field's name is malformed");
        case At::trailer_value:
            at_ = c == '\r' ? At::trailer_lf : At::trailer_value;
            return c == '\r' || chars::field_value[c] || fail("a trailer field is malformed");
        case At::trailer_lf:
            at_ = At::trailer_start;
            return c == '\n' || fail("a trailer line does not end with CRLF");
        default:
            at_ = At::done;
            return c == '\n' || fail("the chunked body does not end with CRLF");
    }
}

ChunkPrefix::ChunkPrefix(std::uint64_t size) noexcept {
    const auto end = std::to_chars(text_.data(), text_.data() + 16, size, 16).ptr;
    end[0] = '\r';
    end[1] = '\n';
    size_ = static_cast<std::size_t>(end + 2 - text_.data());
}

}  // namespace corral::http
