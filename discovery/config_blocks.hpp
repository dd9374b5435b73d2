#pragma once
// A config as scan sees it: blocks that scan wrote, and everything else. Line by line, without a
// YAML library, so that what is not a block comes out to the byte. Pure; any thread.
//
// A block is the text of one model or of the generated group:
//
//     # corral: model="/models/a.gguf" hash=0123456789abcdef        the marker
//     # why it is as it is                                          the body, to the hash
//     "a":
//       cmd: …
//
// It begins with its marker and ends before the next line that is not indented deeper than its key
// (blank lines and comments at the end do not belong to it). The hash is that of the body as scan
// wrote it: when it still fits, nobody has edited the block. Line endings do not count. A model
// whose file has gone is kept as a comment, each line of the body behind `#| `, and the marker ends
// with ` gone since 2026-11-26: why`.

#include <string>
#include <string_view>
#include <vector>

namespace corral {

struct ConfigBlock {
    bool is_group = false;
    std::string key;     ///< of a model the path of its file, of a group its id
    std::string hash;    ///< as the marker has it
    std::string gone;    ///< " gone since …", as the marker has it; empty: it is in force
    std::string indent;  ///< blanks before the marker
    std::string body;    ///< without the marker and the `#| `; line endings as they are
    std::string id;      ///< the key of its mapping; empty when it cannot be read

    [[nodiscard]] bool is_edited() const;
};

/// A piece of the file: a block, or text between blocks.
struct ConfigPiece {
    std::string text;  ///< the bytes, for blocks, too
    bool is_block = false;
    ConfigBlock block = {};
};

/// The pieces in their order; their texts joined are `text`.
[[nodiscard]] std::vector<ConfigPiece> split_config(std::string_view text);
[[nodiscard]] std::string join_config(const std::vector<ConfigPiece>& pieces);

/// A body's hash: 16 hexadecimal digits, whatever its line endings.
[[nodiscard]] std::string hash_of_block(std::string_view body);

/// The bytes of a block, its marker made anew; `ending` ends the marker's line.
[[nodiscard]] std::string block_text(const ConfigBlock& block, std::string_view ending);

/// "\r\n" when most lines of the text end so, else "\n".
[[nodiscard]] std::string_view line_ending(std::string_view text);

/// The lines of a text, each with its line ending; the last may have none.
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);

/// What a line is to YAML's eye, as far as it can be told from the line alone.
struct LineShape {
    std::size_t indent = 0;   ///< blanks at its front
    bool is_blank = false;    ///< nothing else
    bool is_comment = false;  ///< `#` comes next
};
[[nodiscard]] LineShape shape_of(std::string_view line);

/// The key of `key: …`, plain or quoted, without its indentation; empty when there is none.
[[nodiscard]] std::string key_of_line(std::string_view line);

}  // namespace corral
