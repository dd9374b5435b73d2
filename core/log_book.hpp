#pragma once
// Who wrote what: the tails of Corral's own log, of all models together, of each model, and of what
// logToStdout selects. Filled by app's bindings to the log and to the children's output; read by
// the requests under /logs. Main thread.

#include "core/config.hpp"
#include "core/log_tail.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace corral {

class LogBook {
public:
    /// A line of Corral's own log.
    void add_own(std::string_view line);
    /// A line of this model's output; escape sequences are kept.
    void add_output(std::string_view model, std::string_view line);

    /// From now on shown() gets this, and models that are not in the config are forgotten. Who
    /// reads one of their tails keeps it.
    void adopt(const Config& config);

    [[nodiscard]] const std::shared_ptr<LogTail>& own() const noexcept { return own_; }
    [[nodiscard]] const std::shared_ptr<LogTail>& output() const noexcept { return output_; }
    [[nodiscard]] const std::shared_ptr<LogTail>& shown() const noexcept { return shown_; }
    /// One that has written nothing has an empty one, which fills when it does.
    [[nodiscard]] const std::shared_ptr<LogTail>& output_of(std::string_view model);

private:
    std::shared_ptr<LogTail> own_ = std::make_shared<LogTail>();
    std::shared_ptr<LogTail> output_ = std::make_shared<LogTail>();
    std::shared_ptr<LogTail> shown_ = std::make_shared<LogTail>();
    std::map<std::string, std::shared_ptr<LogTail>, std::less<>> models_;
    LogToStdout select_ = LogToStdout::proxy;
};

/// True when `select` takes Corral's own lines, the models' lines.
[[nodiscard]] constexpr bool shows_own(LogToStdout select) noexcept {
    return select == LogToStdout::proxy || select == LogToStdout::both;
}
[[nodiscard]] constexpr bool shows_output(LogToStdout select) noexcept {
    return select == LogToStdout::upstream || select == LogToStdout::both;
}

}  // namespace corral
