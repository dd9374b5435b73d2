#include "core/command_line.hpp"

#include <optional>
#include <utility>

namespace corral {
namespace {

/// Linux gives a new program 2 MiB for all its words and their pointers.
constexpr std::size_t words_max = 250'000;
constexpr std::string_view blanks = " \t\r\n\v\f";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// llama-swap looks at whole lines before it looks at quotes: a comment or a continuation counts
/// inside quotes, too. Its users' files rely on it, for example in a JSON argument.
std::string join_lines(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        const auto inner = trimmed(line);
        if (!inner.starts_with('#')) {
            if (inner.ends_with('\\')) {
                out += inner.substr(0, inner.size() - 1);
                out += ' ';
            } else {
                out += line;
            }
            out += '\n';
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return out;
}

/// One pass over the joined text; each function leaves `at_` behind what it took.
class Splitter {
public:
    explicit Splitter(std::string_view text) : text_(text) {}

    Result<std::vector<std::string>> run() {
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
                end_word();
            } else if (c == '\'') {
                if (!single_quotes()) {
                    return unterminated("single quote");
                }
            } else if (c == '"') {
                if (!double_quotes()) {
                    return unterminated("double quote");
                }
            } else if (c == '\\') {
                if (at_ == text_.size()) {
                    return unterminated("backslash at the end");
                }
                word() += text_[at_++];
            } else {
                word() += c;
            }
        }
        end_word();
        if (words_.size() > words_max) {
            return Error(Errc::invalid_config, Blame::internal,
                         "the command line has more than " + std::to_string(words_max) + " words");
        }
        return std::move(words_);
    }

private:
    std::string& word() {
        if (!word_) {
            word_.emplace();
        }
        return *word_;
    }

    void end_word() {
        if (word_ && words_.size() <= words_max) {
            words_.push_back(std::move(*word_));
            word_.reset();
        }
    }

    bool single_quotes() {
        const auto close = text_.find('\'', at_);
        if (close == std::string_view::npos) {
            return false;
        }
        word() += text_.substr(at_, close - at_);
        at_ = close + 1;
        return true;
    }

    bool double_quotes() {
        word();
        while (at_ < text_.size()) {
            char c = text_[at_++];
            if (c == '"') {
                return true;
            }
            if (c == '\\' && at_ < text_.size() &&
                std::string_view("$`\"\\").find(text_[at_]) != std::string_view::npos) {
                c = text_[at_++];
            }
            word() += c;
        }
        return false;
    }

    static Error unterminated(std::string_view what) {
        return {Errc::invalid_config, Blame::internal,
                "the command line has an unterminated " + std::string(what)};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<std::string> word_;
    std::vector<std::string> words_;
};

}  // namespace

std::string strip_comment_lines(std::string_view text) {
    std::string out;
    bool first = true;
    while (true) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        if (!trimmed(line).starts_with('#')) {
            if (!first) {
                out += '\n';
            }
            out += line;
            first = false;
        }
        if (end == std::string_view::npos) {
            return out;
        }
        text.remove_prefix(end + 1);
    }
}

Result<std::vector<std::string>> split_command_line(std::string_view text) {
    const std::string joined = join_lines(text);
    return Splitter(joined).run();
}

std::string quote_word(std::string_view word) {
    const bool plain = word.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                           "_-./:=,+@%") == std::string_view::npos;
    if (plain && !word.empty()) {
        return std::string(word);
    }
    std::string out = "'";
    for (const char c : word) {
        if (c == '\'') {
            out += "'\\''";
        } else if (c == '\n') {
            // The quotes around it keep the lines from looking like a comment or a continuation.
            out += "''\n''";
        } else {
            out += c;
        }
    }
    out += '\'';
    return out;
}

}  // namespace corral
