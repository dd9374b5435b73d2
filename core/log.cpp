#include "core/log.hpp"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>

#include <algorithm>
#include <array>
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

/// How many bytes the first character of the text takes; 0 when it is not to be shown: a control
/// character, one that changes the direction of text or ends a line, or no UTF-8.
std::size_t shown_bytes(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const unsigned first = byte(0);
    if (first < 0x80) {
        return first >= 0x20 && first != 0x7f ? 1 : 0;
    }
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    unsigned code = first & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) {
            return 0;
        }
        code = code << 6U | (byte(i) & 0x3fU);
    }
    constexpr std::array<unsigned, 5> least{0, 0, 0xa0, 0x800, 0x10000};  // 0x80…: controls, too
    const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    const bool is_mark = (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                         (code >= 0x2066 && code <= 0x2069) || code == 0x61c;
    return first >= 0xc2 && code >= least.at(size) && code <= 0x10ffff && !is_surrogate && !is_mark
               ? size
               : 0;
}

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
    while (!text.empty() && out.size() < max) {
        const std::size_t shown = shown_bytes(text);
        if (shown > 0) {
            out += text.substr(0, shown);
        } else {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
        }
        text.remove_prefix(std::max<std::size_t>(shown, 1));
    }
    if (!text.empty()) {
        out += "…";
    }
    return out;
}

std::string value(std::string_view text, std::size_t max) {
    std::string out = clean(text, max);
    if (out.find_first_of(" \"") == std::string::npos) {
        return out;
    }
    for (auto at = out.find('"'); at != std::string::npos; at = out.find('"', at + 2)) {
        out.insert(at, "\\");
    }
    return '"' + out + '"';
}

}  // namespace corral::log
