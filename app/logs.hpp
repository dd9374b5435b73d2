#pragma once
// Where output goes: the program's bindings of its own log and of its models' output to the tails
// under /logs, to standard output, to files and to the journal. Main thread.

#include "core/config.hpp"
#include "core/log_book.hpp"
#include "core/log_writer.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

class Logs {
public:
    /// From now on it gets what the log says, until it is destroyed.
    explicit Logs(std::shared_ptr<const Config> config);
    ~Logs();
    Logs(const Logs&) = delete;
    Logs& operator=(const Logs&) = delete;

    /// A newer config holds.
    void adopt(std::shared_ptr<const Config> config);
    /// A line of a model's output; see OnOutputLine. Secrets of its config are hidden.
    void add_output(std::string_view model, std::string_view line);
    [[nodiscard]] LogBook& book() noexcept { return book_; }

private:
    void add_own(std::string_view line);
    void print(std::string_view line);
    void tell_problem();
    [[nodiscard]] const std::vector<std::string>& secrets(std::string_view model);

    std::shared_ptr<const Config> config_;
    LogBook book_;
    std::unique_ptr<LogWriter> writer_;  ///< null: neither files nor the journal
    LogsConfig written_;                 ///< what writer_ was made for
    std::map<std::string, std::vector<std::string>, std::less<>> secrets_;  ///< by model
    std::size_t not_printed_ = 0;  ///< bytes that standard output had no room for
    bool telling_ = false;         ///< a problem is being logged
};

}  // namespace corral
