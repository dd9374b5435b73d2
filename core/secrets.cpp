#include "core/secrets.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace corral {
namespace {

constexpr std::array<std::string_view, 6> secret_flags{"--api-key", "--api_key", "--hf-token",
                                                       "-hft",      "--token",   "--password"};
constexpr std::array<std::string_view, 6> secret_names{"KEY",      "TOKEN",  "SECRET",
                                                       "PASSWORD", "PASSWD", "CREDENTIAL"};
constexpr std::string_view blanks = " \t\r\n";

char upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool is_name_character(char c) {
    return (upper(c) >= 'A' && upper(c) <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The end of the quoted part that begins at `at`, after its closing quote.
std::size_t quote_end(std::string_view text, std::size_t at) {
    const char quote = text[at++];
    while (at < text.size() && text[at] != quote) {
        at += quote == '"' && text[at] == '\\' ? 2U : 1U;
    }
    return std::min(at + 1, text.size());
}

/// The end of the word that begins at `at`, as a command line is split.
std::size_t word_end(std::string_view text, std::size_t at) {
    while (at < text.size() && blanks.find(text[at]) == std::string_view::npos) {
        if (text[at] == '\'' || text[at] == '"') {
            at = quote_end(text, at);
        } else if (text[at] == '\\') {
            if (at + 1 < text.size() && (text[at + 1] == '\n' || text[at + 1] == '\r')) {
                return at;  // a continuation parts words, too
            }
            at += 2;
        } else {
            ++at;
        }
    }
    return std::min(at, text.size());
}

/// The first byte at or after `at` that is neither a blank nor a continuation.
std::size_t skip_blanks(std::string_view text, std::size_t at) {
    while (at < text.size()) {
        const bool continuation = text[at] == '\\' && at + 1 < text.size() &&
                                  (text[at + 1] == '\n' || text[at + 1] == '\r');
        if (!continuation && blanks.find(text[at]) == std::string_view::npos) {
            break;
        }
        at += continuation ? 2U : 1U;
    }
    return at;
}

bool is_secret_flag(std::string_view word) {
    return std::find(secret_flags.begin(), secret_flags.end(), word) != secret_flags.end();
}

/// Bytes of the word up to the `=` after a secret's name, that one included: `--api-key=`,
/// `HF_TOKEN=`; 0 when there is none.
std::size_t secret_prefix(std::string_view word) {
    const auto equals = word.find('=');
    if (equals == std::string_view::npos) {
        return 0;
    }
    const auto name = word.substr(0, equals);
    const bool variable = std::all_of(name.begin(), name.end(), is_name_character);
    return is_secret_flag(name) || (variable && names_secret(name)) ? equals + 1 : 0;
}

/// The word without the quotes around it.
std::string_view unquoted(std::string_view word) {
    const bool quoted =
        word.size() > 2 && (word[0] == '\'' || word[0] == '"') && word.back() == word[0];
    return quoted ? word.substr(1, word.size() - 2) : word;
}

std::string masked(std::string_view cmd, int depth);

/// A word with what stands in its quotes masked as a command of its own (`sh -c '…'`), also when
/// the quote never ends.
std::string masked_word(std::string_view word, int depth) {
    const auto quote = word.find_first_of("'\"");
    if (quote == std::string_view::npos || depth == 0) {
        return std::string(word);
    }
    auto inside = word.substr(quote + 1);
    const bool closed = inside.ends_with(word[quote]);
    inside.remove_suffix(closed ? 1U : 0U);
    std::string out(word.substr(0, quote + 1));
    out += masked(inside, depth - 1);
    return closed ? out + word[quote] : out;
}

std::string masked(std::string_view cmd, int depth) {
    std::string out;
    bool value_follows = false;
    std::size_t done = 0;
    for (auto at = skip_blanks(cmd, 0); at < cmd.size(); at = skip_blanks(cmd, done)) {
        out += cmd.substr(done, at - done);
        done = word_end(cmd, at);
        const auto word = cmd.substr(at, done - at);
        const auto prefix = secret_prefix(word);
        if (std::exchange(value_follows, false)) {
            out += redacted;
        } else if (prefix > 0 && prefix < word.size()) {
            out += word.substr(0, prefix);
            out += redacted;
        } else {
            out += masked_word(word, depth);
            value_follows = is_secret_flag(unquoted(word));
        }
    }
    return out += cmd.substr(done);
}

}  // namespace

bool names_secret(std::string_view name) {
    std::string text(name);
    std::transform(text.begin(), text.end(), text.begin(), upper);
    return std::any_of(secret_names.begin(), secret_names.end(),
                       [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

std::string masked_command(std::string_view cmd) {
    constexpr int quotes_in_quotes_max = 4;  // `sh -c '… "…"'`; deeper, nobody writes
    return masked(cmd, quotes_in_quotes_max);
}

std::string masked_assignment(std::string_view assignment) {
    const auto equals = assignment.find('=');
    std::string out(assignment);
    if (equals != std::string_view::npos && names_secret(assignment.substr(0, equals))) {
        out.replace(equals + 1, std::string::npos, redacted);
    }
    return out;
}

std::string masked_url(std::string_view url) {
    std::string out(url);
    const auto scheme = url.find("://");
    if (scheme == std::string_view::npos) {
        return out;
    }
    const auto begin = scheme + 3;
    const auto authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        out.replace(begin, at, redacted);
    }
    return out;
}

}  // namespace corral
