#pragma once
// Collects the mistakes of one file, each with its place and line. Used by the parts of the config
// loader while they read. One thread.

#include "core/diagnostic.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace corral::load {

/// A place in the text: line and column in bytes, both from 1; line 0: the file as a whole.
struct Mark {
    int line = 0;
    int column = 0;
};

class Report {
public:
    /// `text` must outlive the report.
    Report(std::string_view text, std::string file);

    void error(Mark mark, std::string message, std::string hint = {});
    void warn(Mark mark, std::string message, std::string hint = {});
    /// For what is no mistake: neither `serve` nor a strict `check` minds it.
    void note(Mark mark, std::string message, std::string hint = {});

    /// From now on no diagnostic quotes this line, because it holds a secret.
    void hide_line(int line);

    /// True when an error was reported.
    [[nodiscard]] bool failed() const noexcept { return failed_; }

    /// True when more would only be counted: no need to think of hints.
    [[nodiscard]] bool full() const noexcept;

    /// Everything reported, in the order of the file; at most 1000 and a note that says how many
    /// more there are.
    [[nodiscard]] std::vector<Diagnostic> take();

private:
    void add(Severity severity, Mark mark, std::string message, std::string hint);
    [[nodiscard]] std::string source_of(int line) const;

    std::string_view text_;
    std::string file_;
    std::vector<std::size_t> line_starts_;
    std::vector<int> hidden_;
    std::vector<Diagnostic> list_;
    std::size_t left_out_ = 0;
    bool failed_ = false;
};

}  // namespace corral::load
