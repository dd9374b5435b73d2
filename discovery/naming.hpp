#pragma once
// Names for models from their file names, by the documented rule: family letters and the first
// number are joined, a colon, then the rest ("llama-3.2-1b-instruct-q4_k_m.gguf" gives
// "llama3.2:1b-instruct", "tinyllama-1.1b-chat-v1.0.Q4_K_S.gguf" gives "tinyllama1.1:b-chat").
// Pure, linear in the name's length, no regular expressions. Any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corral {

/// What a file name says. Every field but `stem` is made of a-z 0-9 . _ - and at most one colon,
/// so that it can stand in YAML, in a URL and in a shell without quotes.
struct FileNameParts {
    std::string name;          ///< by the documented rule; never empty
    std::string readable;      ///< keeps sizes whole ("tinyllama:1.1b-chat"); often equal to name
    std::string stem;          ///< the file name as it is, without part number and ".gguf"
    std::string quantization;  ///< lower case ("q4_k_m"); may be empty
    std::string version;       ///< "v1.0"; may be empty
    std::optional<double>
        billions;                 ///< parameters by the size in the name ("1.1b", "8x7b", "135m")
    bool says_chat = false;       ///< "chat", "instruct" or "it" is one of its words
    bool says_embedding = false;  ///< has a word that embedding models are known by
    bool says_reranker = false;   ///< has "rerank" in it
};

/// Reads a file name without directory. Any bytes are allowed; at most 255 of them are looked at.
[[nodiscard]] FileNameParts read_file_name(std::string_view file_name);

/// The part number of "x-00002-of-00003.gguf".
struct PartNumber {
    std::string prefix;        ///< what stands before "-00002"
    std::uint32_t number = 0;  ///< as written; valid ones begin with 1
    std::uint32_t count = 0;
};
[[nodiscard]] std::optional<PartNumber> read_part_number(std::string_view file_name);

/// Parameters in billions from general.size_label ("7B", "8x7B", "A3B", "126K").
[[nodiscard]] std::optional<double> read_size_label(std::string_view label);

/// Text made safe for an id: lower case, everything but a-z 0-9 . _ - becomes "-", never two
/// in a row, none at the ends. May be empty.
[[nodiscard]] std::string plain_name(std::string_view text);

/// True for names that downloaders give to files that are not complete (".part", ".incomplete",
/// ".downloadInProgress" …).
[[nodiscard]] bool is_partial_download(std::string_view file_name);

/// True for "x.gguf", in any case.
[[nodiscard]] bool has_gguf_suffix(std::string_view file_name);

}  // namespace corral
