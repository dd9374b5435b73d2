// Finds the blocks by their markers and their indentation; see config_blocks.hpp.

#include "discovery/config_blocks.hpp"

#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace corral {

namespace {

constexpr std::string_view marker_words = "# corral: ";
constexpr std::string_view gone_words = " gone since ";
constexpr std::string_view stored_mark = "#|";
constexpr std::size_t hash_digits = 16;

bool take_words(std::string_view& text, std::string_view words) {
    if (!text.starts_with(words)) {
        return false;
    }
    text.remove_prefix(words.size());
    return true;
}

/// A return at the end of the text counts as an ending that lacks its newline: else the body that
/// ends there would be another one as soon as something follows.
std::string_view without_ending(std::string_view line) {
    if (line.ends_with('\n')) {
        line.remove_suffix(1);
    }
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    return line;
}

/// A double-quoted text from the front, as yaml_quoted() writes it.
std::optional<std::string> take_quoted(std::string_view& text) {
    if (!take_words(text, "\"")) {
        return std::nullopt;
    }
    std::string out;
    while (!text.empty()) {
        char c = text.front();
        text.remove_prefix(1);
        if (c == '"') {
            return out;
        }
        if (c == '\\') {
            if (text.empty() || (text.front() != '"' && text.front() != '\\')) {
                return std::nullopt;  // an escape that scan does not write
            }
            c = text.front();
            text.remove_prefix(1);
        }
        out += c;
    }
    return std::nullopt;
}

bool is_hash(std::string_view text) {
    return text.size() == hash_digits &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<ConfigBlock> read_marker(std::string_view line) {
    std::string_view rest = without_ending(line);
    ConfigBlock block;
    const std::size_t indent = shape_of(line).indent;
    block.indent = rest.substr(0, indent);
    rest.remove_prefix(indent);
    if (!take_words(rest, marker_words)) {
        return std::nullopt;
    }
    block.is_group = take_words(rest, "group=");
    if (!block.is_group && !take_words(rest, "model=")) {
        return std::nullopt;
    }
    std::optional<std::string> key = take_quoted(rest);
    if (!key || !take_words(rest, " hash=") || !is_hash(rest.substr(0, hash_digits))) {
        return std::nullopt;
    }
    block.key = std::move(*key);
    block.hash = rest.substr(0, hash_digits);
    rest.remove_prefix(hash_digits);
    // Anything else behind the hash: somebody changed the marker, and it marks nothing.
    if (!rest.empty() && !rest.starts_with(gone_words)) {
        return std::nullopt;
    }
    block.gone = rest;
    return block;
}

bool is_stored(std::string_view line) {
    return line.substr(shape_of(line).indent).starts_with(stored_mark);
}

/// A stored line as it was: "  #|   ttl: 3" is "  ttl: 3".
std::string restored(std::string_view line) {
    line.remove_prefix(shape_of(line).indent + stored_mark.size());
    if (line.starts_with(' ')) {
        line.remove_prefix(1);
    }
    return std::string(line);
}

std::string stored(std::string_view line, std::string_view indent) {
    const bool is_empty = without_ending(line).empty();
    return std::string(indent) + std::string(stored_mark) + (is_empty ? "" : " ") +
           std::string(line);
}

using Lines = std::vector<std::string_view>;

/// The line of the block's key, or nothing when the marker stands alone.
std::optional<std::size_t> find_key_line(const Lines& lines, std::size_t marker) {
    for (std::size_t i = marker + 1; i < lines.size(); ++i) {
        const LineShape shape = shape_of(lines[i]);
        if (shape.is_blank || read_marker(lines[i])) {
            return std::nullopt;
        }
        if (!shape.is_comment) {
            const bool holds = shape.indent > 0 && !key_of_line(lines[i]).empty();
            return holds ? std::optional(i) : std::nullopt;
        }
    }
    return std::nullopt;
}

/// One past the last line that belongs to the key. Comments that stand further left belong to it
/// only when something of it follows.
std::size_t find_end(const Lines& lines, std::size_t key) {
    const std::size_t indent = shape_of(lines[key]).indent;
    std::size_t end = key + 1;
    for (std::size_t i = key + 1; i < lines.size(); ++i) {
        const LineShape shape = shape_of(lines[i]);
        if (shape.is_blank || (shape.is_comment && shape.indent <= indent)) {
            if (shape.is_comment && read_marker(lines[i])) {
                break;
            }
            continue;
        }
        if (shape.indent <= indent) {
            break;
        }
        end = i + 1;
    }
    return end;
}

std::string joined(const Lines& lines, std::size_t begin, std::size_t end) {
    std::string out;
    for (std::size_t i = begin; i < end; ++i) {
        out += lines[i];
    }
    return out;
}

/// Reads the block whose marker stands in line `at`; gives the line behind it, or nothing.
std::optional<std::size_t> read_block(const Lines& lines, std::size_t at, ConfigBlock& block) {
    std::optional<ConfigBlock> marker = read_marker(lines[at]);
    if (!marker) {
        return std::nullopt;
    }
    block = std::move(*marker);
    std::size_t end = at + 1;
    if (!block.gone.empty() && end < lines.size() && is_stored(lines[end])) {
        for (; end < lines.size() && is_stored(lines[end]); ++end) {
            block.body += restored(lines[end]);
        }
    } else {
        const std::optional<std::size_t> key = find_key_line(lines, at);
        if (!key) {
            return std::nullopt;
        }
        block.gone.clear();  // somebody took the marks off the lines: it is in force, and edited
        end = find_end(lines, *key);
        block.body = joined(lines, at + 1, end);
    }
    for (const std::string_view line : split_lines(block.body)) {
        const LineShape shape = shape_of(line);
        if (!shape.is_blank && !shape.is_comment) {
            block.id = key_of_line(line);
            break;
        }
    }
    return end;
}

}  // namespace

bool ConfigBlock::is_edited() const {
    return hash_of_block(body) != hash;
}

std::vector<ConfigPiece> split_config(std::string_view text) {
    const Lines lines = split_lines(text);
    std::vector<ConfigPiece> pieces;
    std::size_t begin = 0;  // of the text that is no block
    for (std::size_t i = 0; i < lines.size();) {
        ConfigPiece piece;
        const bool may_be = shape_of(lines[i]).is_comment;
        const std::optional<std::size_t> end =
            may_be ? read_block(lines, i, piece.block) : std::nullopt;
        if (!end) {
            ++i;
            continue;
        }
        if (begin < i) {
            pieces.push_back({joined(lines, begin, i)});
        }
        piece.is_block = true;
        piece.text = joined(lines, i, *end);
        pieces.push_back(std::move(piece));
        i = begin = *end;
    }
    if (begin < lines.size()) {
        pieces.push_back({joined(lines, begin, lines.size())});
    }
    return pieces;
}

std::string join_config(const std::vector<ConfigPiece>& pieces) {
    std::string out;
    for (const ConfigPiece& piece : pieces) {
        out += piece.text;
    }
    return out;
}

std::string hash_of_block(std::string_view body) {
    // FNV-1a, 64 bit: enough to notice an edit; nothing is protected by it.
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    const auto add = [&](std::string_view text) {
        for (const char c : text) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        }
    };
    for (const std::string_view line : split_lines(body)) {
        add(without_ending(line));
        add("\n");
    }
    return fmt::format("{:016x}", hash);
}

std::string block_text(const ConfigBlock& block, std::string_view ending) {
    std::string out = fmt::format("{}{}{}={} hash={}{}{}", block.indent, marker_words,
                                  block.is_group ? "group" : "model", yaml_quoted(block.key),
                                  block.hash, block.gone, ending);
    if (block.gone.empty()) {
        return out + block.body;
    }
    for (const std::string_view line : split_lines(block.body)) {
        out += stored(line, block.indent);
    }
    return out;
}

std::string_view line_ending(std::string_view text) {
    std::size_t all = 0;
    std::size_t with_return = 0;
    for (std::size_t at = text.find('\n'); at != std::string_view::npos;
         at = text.find('\n', at + 1)) {
        ++all;
        with_return += at > 0 && text[at - 1] == '\r' ? 1 : 0;
    }
    return with_return * 2 > all ? "\r\n" : "\n";
}

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return lines;
}

LineShape shape_of(std::string_view line) {
    const std::string_view text = without_ending(line);
    LineShape shape;
    shape.indent = std::min(text.find_first_not_of(" \t"), text.size());
    shape.is_blank = shape.indent == text.size();
    shape.is_comment = !shape.is_blank && text[shape.indent] == '#';
    return shape;
}

std::string key_of_line(std::string_view line) {
    std::string_view text = without_ending(line);
    text.remove_prefix(shape_of(line).indent);
    if (text.starts_with('"')) {
        const std::optional<std::string> key = take_quoted(text);
        return key && text.starts_with(':') ? *key : std::string();
    }
    if (text.starts_with('\'')) {
        std::string out;
        for (std::size_t i = 1; i < text.size(); ++i) {
            if (text[i] == '\'' && (i + 1 == text.size() || text[++i] != '\'')) {
                return text.substr(i).starts_with(':') ? out : std::string();
            }
            out += text[i];
        }
        return {};
    }
    for (std::size_t at = text.find(':'); at != std::string_view::npos;
         at = text.find(':', at + 1)) {
        if (at + 1 == text.size() || text[at + 1] == ' ' || text[at + 1] == '\t') {
            const std::size_t end = text.substr(0, at).find_last_not_of(" \t");
            return end == std::string_view::npos ? "" : std::string(text.substr(0, end + 1));
        }
    }
    return {};
}

}  // namespace corral
