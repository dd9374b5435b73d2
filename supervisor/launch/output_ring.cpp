// The bounded ring of a child's output and how its lines are shown. Pure, no I/O, no logging.

#include "supervisor/launch/output_ring.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace corral {
namespace {

/// How much is dropped at once when the ring is full, so that dropping is rare.
constexpr std::size_t slack_bytes = OutputRing::bytes_max / 4;

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

unsigned char byte_at(std::string_view text, std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

/// Length of the escape sequence at the start of `text` (ECMA-48): CSI … final byte, OSC and other
/// strings up to BEL or ST, else ESC, intermediates, one final byte.
std::size_t escape_length(std::string_view text) {
    std::size_t at = 1;
    const unsigned char kind = byte_at(text, at);
    if (kind == '[') {
        ++at;
        while (byte_at(text, at) >= 0x20 && byte_at(text, at) < 0x40) {
            ++at;
        }
        const unsigned char final_byte = byte_at(text, at);
        return final_byte >= 0x40 && final_byte < 0x7f ? at + 1 : at;
    }
    if (kind == ']' || kind == 'P' || kind == 'X' || kind == '^' || kind == '_') {
        for (++at; at < text.size(); ++at) {
            if (text[at] == '\a') {
                return at + 1;
            }
            if (text[at] == '\x1b') {  // ST is ESC \; another escape ends a broken string
                return byte_at(text, at + 1) == '\\' ? at + 2 : at;
            }
        }
        return at;
    }
    while (byte_at(text, at) >= 0x20 && byte_at(text, at) < 0x30) {
        ++at;
    }
    const unsigned char final_byte = byte_at(text, at);
    return final_byte >= 0x30 && final_byte < 0x7f ? at + 1 : at;
}

/// Length of the well-formed UTF-8 character at the start of `text`, 0 when there is none
/// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t character_length(std::string_view text) {
    const unsigned char b0 = byte_at(text, 0);
    const unsigned char b1 = byte_at(text, 1);
    if (b0 < 0x80) {
        return 1;
    }
    const auto tail = [&](std::size_t at) { return (byte_at(text, at) & 0xC0) == 0x80; };
    if (b0 >= 0xC2 && b0 < 0xE0) {
        return tail(1) ? 2 : 0;
    }
    if (b0 >= 0xE0 && b0 < 0xF0) {
        const bool ok = !(b0 == 0xE0 && b1 < 0xA0) && !(b0 == 0xED && b1 > 0x9F);
        return ok && tail(1) && tail(2) ? 3 : 0;
    }
    if (b0 >= 0xF0 && b0 < 0xF5) {
        const bool ok = !(b0 == 0xF0 && b1 < 0x90) && !(b0 == 0xF4 && b1 > 0x8F);
        return ok && tail(1) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

bool is_control(std::string_view character) {
    const unsigned char b0 = byte_at(character, 0);
    return (b0 < 0x20 && b0 != '\t') || b0 == 0x7f ||
           (b0 == 0xC2 && byte_at(character, 1) < 0xA0);  // C1: U+0080 to U+009F
}

}  // namespace

std::string presentable_line(std::string_view raw, std::size_t max) {
    while (raw.ends_with('\r')) {
        raw.remove_suffix(1);
    }
    if (const auto rewrite = raw.rfind('\r'); rewrite != std::string_view::npos) {
        raw.remove_prefix(rewrite + 1);
    }
    std::string out;
    while (!raw.empty()) {
        if (raw.front() == '\x1b') {
            raw.remove_prefix(escape_length(raw));
            continue;
        }
        const std::size_t length = character_length(raw);
        const std::string_view shown = length == 0 ? replacement : raw.substr(0, length);
        if (length == 0 || !is_control(shown)) {
            if (out.size() + shown.size() > max) {
                break;
            }
            out += shown;
        }
        raw.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

void OutputRing::append(std::string_view bytes) {
    byte_count_ += bytes.size();
    while (!bytes.empty()) {
        const auto end = bytes.find('\n');
        store(bytes.substr(0, end));
        if (end == std::string_view::npos) {
            return;
        }
        end_line();
        bytes.remove_prefix(end + 1);
    }
}

void OutputRing::finish() {
    if (open_) {
        end_line();
    }
}

void OutputRing::store(std::string_view piece) {
    open_ = open_ || !piece.empty();
    piece = piece.substr(0, line_bytes_max - open_bytes_);
    make_room(piece.size() + 1);  // its line end will need room, too
    data_ += piece;
    open_bytes_ += piece.size();
}

void OutputRing::end_line() {
    make_room(1);
    data_ += '\n';
    open_bytes_ = 0;
    open_ = false;
    ++kept_lines_;
    ++line_count_;
}

void OutputRing::make_room(std::size_t bytes) {
    if (data_.size() + bytes <= bytes_max) {
        return;
    }
    const std::size_t wanted =
        std::min(data_.size(), data_.size() + bytes - bytes_max + slack_bytes);
    std::size_t dropped = 0;
    while (dropped < wanted && kept_lines_ > 0) {
        dropped = data_.find('\n', dropped) + 1;
        --kept_lines_;
    }
    data_.erase(0, dropped);
}

std::string OutputRing::last_lines(std::size_t count) const {
    const std::string_view complete(data_.data(), data_.size() - open_bytes_);
    std::vector<std::string> lines;     // newest first
    std::size_t end = complete.size();  // one past the line end of the line to look at
    while (end > 0 && lines.size() < count) {
        const auto before = complete.substr(0, end - 1).rfind('\n');
        const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
        auto line = presentable_line(complete.substr(begin, end - 1 - begin), shown_bytes_max);
        end = begin;
        if (line.find_first_not_of(" \t") != std::string::npos) {
            lines.push_back(std::move(line));
        }
    }
    std::string out;
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        out += out.empty() ? "" : "\n";
        out += *line;
    }
    return out;
}

}  // namespace corral
