#include "core/load/report.hpp"

#include <algorithm>
#include <array>
#include <cctype>
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

}  // namespace

Report::Report(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {
    line_starts_.push_back(0);
    for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
        line_starts_.push_back(at + 1);
    }
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

void Report::hide_line(int line) {
    hidden_.push_back(line);
}

void Report::add(Severity severity, Mark mark, std::string message, std::string hint) {
    if (full()) {
        ++left_out_;
        return;
    }
    list_.push_back({severity, file_, mark.line, mark.column, std::move(message), std::move(hint),
                     source_of(mark.line)});
}

bool Report::full() const noexcept {
    return list_.size() >= diagnostics_max;
}

std::string Report::source_of(int line) const {
    if (line < 1 || static_cast<std::size_t>(line) > line_starts_.size()) {
        return {};
    }
    const auto index = static_cast<std::size_t>(line) - 1;
    const auto begin = line_starts_[index];
    const auto end = index + 1 < line_starts_.size() ? line_starts_[index + 1] - 1 : text_.size();
    auto source = text_.substr(begin, end - begin);
    if (source.ends_with('\r')) {
        source.remove_suffix(1);
    }
    if (source.size() > source_bytes_max || looks_secret(source)) {
        return {};
    }
    return std::string(source);
}

std::vector<Diagnostic> Report::take() {
    std::sort(hidden_.begin(), hidden_.end());
    for (auto& diagnostic : list_) {
        if (std::binary_search(hidden_.begin(), hidden_.end(), diagnostic.line)) {
            diagnostic.source.clear();
        }
    }
    std::stable_sort(list_.begin(), list_.end(), [](const Diagnostic& a, const Diagnostic& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    if (left_out_ > 0) {
        list_.push_back({Severity::note, file_, 0, 0,
                         "and " + std::to_string(left_out_) + " more mistakes", "", ""});
    }
    return std::move(list_);
}

}  // namespace corral::load
