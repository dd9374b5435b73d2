#pragma once
// Collects the mistakes of one or more files, each with its place and line. Used by the parts of
// the config loader while they read. One thread.

#include "core/diagnostic.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::load {

/// A place in a text: line and column in bytes, both from 1; line 0: the file as a whole.
struct Mark {
    int line = 0;
    int column = 0;
    int file = 0;  ///< what Report::add_file() returned; 0 when there is one file only
};

class Report {
public:
    Report() = default;
    /// One file.
    Report(std::string_view text, std::string file) { add_file(text, std::move(file)); }

    /// From now on marks may point into this text, which must outlive the report. Returns its
    /// number, counted from 0.
    int add_file(std::string_view text, std::string name);

    void error(Mark mark, std::string message, std::string hint = {});
    void warn(Mark mark, std::string message, std::string hint = {});
    /// For what is no mistake: neither `serve` nor a strict `check` minds it.
    void note(Mark mark, std::string message, std::string hint = {});

    /// From now on no diagnostic quotes the line of this mark, because it holds a secret.
    void hide_line(Mark mark);

    /// The name of a file, as it was added.
    [[nodiscard]] const std::string& file_name(int file) const;
    /// `name:line:column` of a mark, for a message about another place.
    [[nodiscard]] std::string place(Mark mark) const;
    /// True when a message has to say which file it means.
    [[nodiscard]] bool has_several_files() const noexcept { return files_.size() > 1; }

    /// True when an error was reported.
    [[nodiscard]] bool failed() const noexcept { return failed_; }

    /// True when more would only be counted: no need to think of hints.
    [[nodiscard]] bool full() const noexcept;

    /// Everything reported, file by file in the order in which they were added and in the order of
    /// their lines; at most 1000 and a note that says how many more there are.
    [[nodiscard]] std::vector<Diagnostic> take();

private:
    struct File {
        std::string_view text;
        std::string name;
    };
    struct Reported {
        Mark mark;
        Severity severity;
        std::string message;
        std::string hint;
    };

    void add(Severity severity, Mark mark, std::string message, std::string hint);
    [[nodiscard]] bool hidden(Mark mark) const;

    std::vector<File> files_;
    std::vector<Mark> hidden_;  ///< sorted by take()
    std::vector<Reported> list_;
    std::size_t left_out_ = 0;
    bool failed_ = false;
};

}  // namespace corral::load
