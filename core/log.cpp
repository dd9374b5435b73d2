#include "core/log.hpp"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>

#include <cerrno>
#include <memory>
#include <unistd.h>
#include <utility>

namespace corral::log {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warn:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

constexpr std::string_view program_name = "corral";
constexpr std::string_view access_name = "access";

/// Standard error, a write for each line or, when they may wait, one for many.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
    explicit StderrSink(bool journal) : journal_(journal) {}

    void defer(std::function<void()> soon) {
        soon_ = std::move(soon);
        flush_();
    }
    void tee(std::function<void(std::string_view)> line) { tee_ = std::move(line); }
    void show(bool shown) {
        flush_();
        shown_ = shown;
    }

private:
    /// More is not held, whoever sees to the flush.
    static constexpr std::size_t waiting_max = 32 * 1024;

    void sink_it_(const spdlog::details::log_msg& msg) override {
        const std::size_t before = text_.size();
        if (journal_) {
            put_journal_line(msg);
        } else {
            formatter_->format(msg, text_);
        }
        if (tee_) {
            const std::size_t skipped = journal_ ? priority_size : 0;
            tee_(std::string_view(text_.data(), text_.size() - 1).substr(before + skipped));
        }
        if (!shown_ && msg.level < spdlog::level::err) {
            text_.resize(before);
            return;
        }
        const bool first = before == 0;
        if (!soon_ || msg.logger_name != access_name || text_.size() >= waiting_max) {
            flush_();
        } else if (first) {
            soon_();
        }
    }
    /// journald reads a priority from `<N>` at the start of a line (sd-daemon(3)).
    void put_journal_line(const spdlog::details::log_msg& msg) {
        const std::string_view priority = msg.level >= spdlog::level::err    ? "<3>"
                                          : msg.level >= spdlog::level::warn ? "<4>"
                                          : msg.level >= spdlog::level::info ? "<6>"
                                                                             : "<7>";
        text_.append(priority);
        text_.append(msg.payload);
        text_.push_back('\n');
    }
    void flush_() override {
        for (std::size_t done = 0; done < text_.size();) {
            const auto n = ::write(STDERR_FILENO, text_.data() + done, text_.size() - done);
            if (n < 0 && errno != EINTR) {
                break;  // nobody is left to be told
            }
            done += n > 0 ? static_cast<std::size_t>(n) : 0;
        }
        text_.clear();
    }

    static constexpr std::size_t priority_size = 3;

    bool journal_;
    bool shown_ = true;
    std::function<void()> soon_;
    std::function<void(std::string_view)> tee_;
    spdlog::memory_buf_t text_;
};

/// Null without setup(): in unit tests.
StderrSink* our_sink() {
    for (const auto& sink : spdlog::default_logger()->sinks()) {
        if (auto* ours = dynamic_cast<StderrSink*>(sink.get())) {
            return ours;
        }
    }
    return nullptr;
}

}  // namespace

void setup(LogLevel level, bool journal) {
    const auto sink = std::make_shared<StderrSink>(journal);
    const auto make = [&sink](std::string_view name) {
        auto logger = std::make_shared<spdlog::logger>(std::string(name), sink);
        logger->set_pattern("%Y-%m-%d %H:%M:%S.%e [%l] %v");
        return logger;
    };
    spdlog::set_default_logger(make(program_name));
    spdlog::drop(std::string(access_name));
    spdlog::register_logger(make(access_name));
    set_level(level);
}

spdlog::logger& access() {
    static spdlog::logger& found = [&]() -> spdlog::logger& {
        const auto ours = spdlog::get(std::string(access_name));
        return ours ? *ours : *spdlog::default_logger_raw();  // no setup(): in unit tests
    }();
    return found;
}

void defer(std::function<void()> soon) {
    if (StderrSink* sink = our_sink()) {
        sink->defer(std::move(soon));
    }
}

void tee(std::function<void(std::string_view)> line) {
    if (StderrSink* sink = our_sink()) {
        sink->tee(std::move(line));
    }
}

void show(bool shown) {
    if (StderrSink* sink = our_sink()) {
        sink->show(shown);
    }
}

void flush() {
    spdlog::default_logger()->flush();
}

void set_level(LogLevel level) {
    spdlog::set_level(level_of(level));
}

std::string clean(std::string_view text, std::size_t max) {
    std::string out;
    for (const char c : text.substr(0, max)) {
        const auto u = static_cast<unsigned char>(c);
        if (u < 0x20 || u == 0x7f) {
            out += fmt::format("\\x{:02x}", u);
        } else {
            out += c;
        }
    }
    if (text.size() > max) {
        out += "…";
    }
    return out;
}

}  // namespace corral::log
