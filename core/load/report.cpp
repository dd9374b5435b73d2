#include "core/load/report.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>
#include <utility>

namespace corral::load {
namespace {

constexpr std::size_t diagnostics_max = 1000;
constexpr std::size_t source_bytes_max = 400;

/// A line that is likely to hold a credential is never quoted: diagnostics end up in journals.
bool looks_secret(std::string_view line) {
    constexpr std::array<std::string_view, 6> words{"apikey", "api-key", "api_key",
                                                    "token",  "secret",  "password"};
    std::string lower(line);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        return lower.find(word) != std::string::npos;
    });
}

/// Goes through a text once, for lines that are asked for in ascending order. Holds no table of the
/// lines, which would be larger than a text of empty ones.
class Lines {
public:
    explicit Lines(std::string_view text) : text_(text) {}

    /// The line without its end; empty when there is none or when it must not be shown.
    std::string at(int line) {
        while (line_ < line && begin_ <= text_.size()) {
            const auto end = text_.find('\n', begin_);
            begin_ = end == std::string_view::npos ? text_.size() + 1 : end + 1;
            ++line_;
        }
        if (line < 1 || begin_ > text_.size()) {
            return {};
        }
        auto source = text_.substr(begin_, text_.find('\n', begin_) - begin_);
        if (source.ends_with('\r')) {
            source.remove_suffix(1);
        }
        if (source.size() > source_bytes_max || looks_secret(source)) {
            return {};
        }
        return std::string(source);
    }

private:
    std::string_view text_;
    std::size_t begin_ = 0;
    int line_ = 1;
};

std::pair<int, int> line_of(const Mark& mark) {
    return {mark.file, mark.line};
}

bool by_line(const Mark& a, const Mark& b) {
    return line_of(a) < line_of(b);
}

}  // namespace

int Report::add_file(std::string_view text, std::string name) {
    files_.push_back({text, std::move(name)});
    return static_cast<int>(files_.size()) - 1;
}

void Report::error(Mark mark, std::string message, std::string hint) {
    failed_ = true;
    add(Severity::error, mark, std::move(message), std::move(hint));
}

void Report::warn(Mark mark, std::string message, std::string hint) {
    add(Severity::warning, mark, std::move(message), std::move(hint));
}

void Report::note(Mark mark, std::string message, std::string hint) {
    add(Severity::note, mark, std::move(message), std::move(hint));
}

void Report::hide_line(Mark mark) {
    hidden_.push_back(mark);
}

const std::string& Report::file_name(int file) const {
    return files_.at(static_cast<std::size_t>(file)).name;
}

std::string Report::place(Mark mark) const {
    return file_name(mark.file) + ":" + std::to_string(mark.line) + ":" +
           std::to_string(mark.column);
}

void Report::add(Severity severity, Mark mark, std::string message, std::string hint) {
    if (full()) {
        ++left_out_;
        return;
    }
    list_.push_back({mark, severity, std::move(message), std::move(hint)});
}

bool Report::full() const noexcept {
    return list_.size() >= diagnostics_max;
}

bool Report::hidden(Mark mark) const {
    return std::binary_search(hidden_.begin(), hidden_.end(), mark, by_line);
}

std::vector<Diagnostic> Report::take() {
    std::sort(hidden_.begin(), hidden_.end(), by_line);
    std::stable_sort(list_.begin(), list_.end(), [](const Reported& a, const Reported& b) {
        return std::tuple(line_of(a.mark), a.mark.column) <
               std::tuple(line_of(b.mark), b.mark.column);
    });
    std::vector<Diagnostic> out;
    out.reserve(list_.size() + 1);
    std::vector<Lines> lines;
    lines.reserve(files_.size());
    for (const File& file : files_) {
        lines.emplace_back(file.text);
    }
    for (Reported& one : list_) {
        const Mark mark = one.mark;
        std::string source = lines.at(static_cast<std::size_t>(mark.file)).at(mark.line);
        if (hidden(mark)) {
            source.clear();
        }
        out.push_back({one.severity, file_name(mark.file), mark.line, mark.column,
                       std::move(one.message), std::move(one.hint), std::move(source)});
    }
    if (left_out_ > 0) {
        out.push_back({Severity::note, has_several_files() ? "" : files_.front().name, 0, 0,
                       "and " + std::to_string(left_out_) + " more mistakes", "", ""});
    }
    list_.clear();
    return out;
}

}  // namespace corral::load
