// The documented naming rule, written out by hand; see naming.hpp.

#include "discovery/naming.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace corral {

namespace {

constexpr std::size_t name_bytes_max = 255;
constexpr std::string_view gguf_suffix = ".gguf";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_alphanumeric(char c) {
    return is_letter(c) || is_digit(c);
}
bool is_separator(char c) {
    return c == '-' || c == '_' || c == '.';
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
    return result;
}

std::size_t count_digits(std::string_view text) {
    std::size_t count = 0;
    while (count < text.size() && is_digit(text[count])) {
        ++count;
    }
    return count;
}

/// Removes `prefix` from the front of `text` when it stands there.
bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) {
        return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

bool take_digits(std::string_view& text) {
    const std::size_t count = count_digits(text);
    text.remove_prefix(count);
    return count > 0;
}

/// (_[a-z0-9]+)* to the end.
bool is_tail_of_words(std::string_view text) {
    while (!text.empty()) {
        if (text.size() < 2 || text.front() != '_' || !is_alphanumeric(text[1])) {
            return false;
        }
        text.remove_prefix(1);
        while (!text.empty() && is_alphanumeric(text.front())) {
            text.remove_prefix(1);
        }
    }
    return true;
}

/// (ud-)?(i?q\d+(_[a-z0-9]+)*|tq\d_\d|bf16|f16|fp16|f32|mxfp4(_moe)?|nvfp4)
bool is_quantization(std::string_view text) {
    constexpr std::array<std::string_view, 7> whole{"bf16",  "f16",       "fp16", "f32",
                                                    "mxfp4", "mxfp4_moe", "nvfp4"};
    take(text, "ud-");
    if (std::find(whole.begin(), whole.end(), text) != whole.end()) {
        return true;
    }
    if (text.size() == 5 && text.starts_with("tq") && is_digit(text[2]) && text[3] == '_' &&
        is_digit(text[4])) {
        return true;
    }
    take(text, "i");
    return take(text, "q") && take_digits(text) && is_tail_of_words(text);
}

/// v\d+(\.\d+)*
bool is_version(std::string_view text) {
    if (!take(text, "v") || !take_digits(text)) {
        return false;
    }
    while (take(text, ".")) {
        if (!take_digits(text)) {
            return false;
        }
    }
    return text.empty();
}

/// Cuts the longest ending off that stands behind a separator and satisfies `is_ending`.
template <class Predicate>
std::string cut_ending(std::string& stem, const Predicate& is_ending) {
    for (std::size_t i = 0; i < stem.size(); ++i) {
        const std::string_view rest = std::string_view(stem).substr(i + 1);
        if (is_separator(stem[i]) && is_ending(rest)) {
            std::string ending(rest);
            stem.resize(i);
            return ending;
        }
    }
    return {};
}

/// The pieces of ^([a-z]+(?:-[a-z]+)*?)[-_.]?(\d+(?:\.\d+)?)[-_.]?(.*)$
struct Match {
    std::string_view family;
    std::string_view number;
    std::string_view rest;  ///< without the separator before it
    bool glued = false;     ///< no separator stood between number and rest
};

std::optional<Match> match_family(std::string_view stem) {
    std::size_t at = 0;
    while (true) {
        const std::size_t word = at;
        while (at < stem.size() && is_letter(stem[at])) {
            ++at;
        }
        if (at == word) {
            return std::nullopt;
        }
        const std::size_t digits = at + (at < stem.size() && is_separator(stem[at]) ? 1 : 0);
        if (digits < stem.size() && is_digit(stem[digits])) {
            std::size_t end = digits + count_digits(stem.substr(digits));
            if (end + 1 < stem.size() && stem[end] == '.' && is_digit(stem[end + 1])) {
                end += 1 + count_digits(stem.substr(end + 1));
            }
            Match match{stem.substr(0, at), stem.substr(digits, end - digits), stem.substr(end),
                        true};
            if (!match.rest.empty() && is_separator(match.rest.front())) {
                match.rest.remove_prefix(1);
                match.glued = false;
            }
            return match;
        }
        if (at >= stem.size() || stem[at] != '-') {
            return std::nullopt;
        }
        ++at;
    }
}

std::string join(std::string_view head, std::string_view rest) {
    std::string result(head);
    if (!rest.empty()) {
        result += ':';
        result += rest;
    }
    return result;
}

std::string without_dots(std::string_view stem) {
    std::string result(stem);
    std::replace_if(
        result.begin(), result.end(), [](char c) { return c == '_' || c == '.'; }, '-');
    return result;
}

std::string documented_name(std::string_view stem) {
    const std::optional<Match> match = match_family(stem);
    if (!match) {
        return without_dots(stem);
    }
    return join(std::string(match->family) + std::string(match->number), match->rest);
}

/// Like the documented name, but a number that letters hang on stays with them.
std::string readable_name(std::string_view stem) {
    const std::optional<Match> match = match_family(stem);
    if (!match || !match->glued || match->rest.empty()) {
        return documented_name(stem);
    }
    std::size_t end = 0;
    while (end < match->rest.size() && is_alphanumeric(match->rest[end])) {
        ++end;
    }
    const std::string word = std::string(match->number) + std::string(match->rest.substr(0, end));
    std::string_view rest = match->rest.substr(end);
    if (!rest.empty()) {
        rest.remove_prefix(1);
    }
    const char unit = match->rest.front();
    const bool is_size = (end == 1 && (unit == 'b' || unit == 'm' || unit == 't')) ||
                         (end > 2 && unit == 'x' && is_digit(match->rest[1]));
    if (!is_size) {
        return join(std::string(match->family) + word, rest);
    }
    return join(match->family, rest.empty() ? word : word + "-" + std::string(rest));
}

/// \d+(\.\d+)?, taken from the front.
std::optional<double> take_number(std::string_view& text) {
    std::size_t end = count_digits(text);
    if (end == 0 || end > 9) {
        return std::nullopt;
    }
    if (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) {
        end += 1 + std::min<std::size_t>(count_digits(text.substr(end + 1)), 9);
    }
    double value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + end, value);
    if (error != std::errc{} || rest != text.data() + end) {
        return std::nullopt;
    }
    text.remove_prefix(end);
    return value;
}

/// One size such as "1.1b", "8x7b", "e4b" or "135m" at the front, in billions; `units` are the
/// letters that count, among "kmbtq".
std::optional<double> take_size(std::string_view text, std::string_view units) {
    take(text, "e");  // "E4B": effective parameters
    std::optional<double> number = take_number(text);
    if (!number) {
        return std::nullopt;
    }
    double experts = 1;
    if (take(text, "x")) {
        experts = *number;
        number = take_number(text);
    }
    if (!number || text.empty() || units.find(text.front()) == std::string_view::npos ||
        (text.size() > 1 && is_alphanumeric(text[1]))) {
        return std::nullopt;
    }
    double scale = 1;
    switch (text.front()) {
        case 'k':
            scale = 1e-6;
            break;
        case 'm':
            scale = 1e-3;
            break;
        case 't':
            scale = 1e3;
            break;
        case 'q':
            scale = 1e6;
            break;
        default:
            break;
    }
    return experts * *number * scale;
}

/// The first size in the name that begins a word. "4k" and "128k" are contexts, never sizes.
std::optional<double> find_size(std::string_view stem) {
    for (std::size_t i = 0; i < stem.size(); ++i) {
        // A number behind "1." is a fraction, no word of its own.
        const bool fraction = i > 1 && stem[i - 1] == '.' && is_digit(stem[i - 2]);
        if (i == 0 || (!is_alphanumeric(stem[i - 1]) && !fraction)) {
            if (const std::optional<double> size = take_size(stem.substr(i), "mbt")) {
                return size;
            }
        }
    }
    return std::nullopt;
}

bool has_word(std::string_view stem, std::string_view word) {
    for (std::size_t at = stem.find(word); at != std::string_view::npos;
         at = stem.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if ((at == 0 || !is_alphanumeric(stem[at - 1])) &&
            (end == stem.size() || !is_alphanumeric(stem[end]))) {
            return true;
        }
    }
    return false;
}

std::string_view without_gguf_suffix(std::string_view file_name) {
    return has_gguf_suffix(file_name) ? file_name.substr(0, file_name.size() - gguf_suffix.size())
                                      : file_name;
}

std::optional<std::uint32_t> five_digits(std::string_view text) {
    if (text.size() != 5 || count_digits(text) != 5) {
        return std::nullopt;
    }
    std::uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

bool has_gguf_suffix(std::string_view file_name) {
    return file_name.size() >= gguf_suffix.size() &&
           lower(file_name.substr(file_name.size() - gguf_suffix.size())) == gguf_suffix;
}

std::optional<PartNumber> read_part_number(std::string_view file_name) {
    constexpr std::size_t ending = std::string_view("-00002-of-00003").size();
    const std::string_view stem = without_gguf_suffix(file_name);
    if (!has_gguf_suffix(file_name) || stem.size() < ending) {
        return std::nullopt;
    }
    const std::string tail = lower(stem.substr(stem.size() - ending));
    const std::optional<std::uint32_t> number = five_digits(std::string_view(tail).substr(1, 5));
    const std::optional<std::uint32_t> count = five_digits(std::string_view(tail).substr(10, 5));
    if (tail.front() != '-' || std::string_view(tail).substr(6, 4) != "-of-" || !number || !count) {
        return std::nullopt;
    }
    return PartNumber{std::string(stem.substr(0, stem.size() - ending)), *number, *count};
}

std::string plain_name(std::string_view text) {
    std::string result;
    for (const char c : lower(text.substr(0, name_bytes_max))) {
        if (is_alphanumeric(c) || c == '.' || c == '_') {
            result += c;
        } else if (!result.empty() && result.back() != '-') {
            result += '-';
        }
    }
    const std::size_t begin = result.find_first_not_of("-._");
    const std::size_t end = result.find_last_not_of("-._");
    return begin == std::string::npos ? std::string{} : result.substr(begin, end - begin + 1);
}

std::optional<double> read_size_label(std::string_view label) {
    const std::string text = lower(label.substr(0, name_bytes_max));
    std::optional<double> size = take_size(text, "kmbtq");
    return size;
}

bool is_partial_download(std::string_view file_name) {
    constexpr std::array<std::string_view, 9> endings{
        ".part", ".partial",  ".incomplete", ".downloadinprogress", ".crdownload", ".aria2",
        ".tmp",  ".download", ".!qb"};
    const std::string name = lower(file_name);
    return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) {
        return name.size() > ending.size() && name.ends_with(ending);
    });
}

FileNameParts read_file_name(std::string_view file_name) {
    const std::string_view cut = file_name.substr(0, name_bytes_max);
    FileNameParts parts;
    const std::optional<PartNumber> part = read_part_number(cut);
    parts.stem = part ? part->prefix : std::string(without_gguf_suffix(cut));
    std::string stem = plain_name(parts.stem);
    parts.quantization = cut_ending(stem, is_quantization);
    parts.version = cut_ending(stem, is_version);
    parts.name = documented_name(stem);
    if (parts.name.empty()) {
        parts.name = "model";
    }
    parts.readable = readable_name(stem);
    if (parts.readable.empty()) {
        parts.readable = parts.name;
    }
    parts.billions = find_size(stem);
    parts.says_chat = has_word(stem, "chat") || has_word(stem, "instruct") || has_word(stem, "it");
    parts.says_reranker = stem.find("rerank") != std::string::npos;
    parts.says_embedding = stem.find("embed") != std::string::npos ||
                           stem.find("minilm") != std::string::npos || has_word(stem, "bge") ||
                           has_word(stem, "gte") || has_word(stem, "e5") || has_word(stem, "mxbai");
    return parts;
}

}  // namespace corral
