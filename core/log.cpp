#include "core/log.hpp"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

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

/// journald reads a priority from `<N>` at the start of a line (sd-daemon(3)).
class JournalSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
    void sink_it_(const spdlog::details::log_msg& msg) override {
        const char* priority = msg.level >= spdlog::level::err    ? "<3>"
                               : msg.level >= spdlog::level::warn ? "<4>"
                               : msg.level >= spdlog::level::info ? "<6>"
                                                                  : "<7>";
        fmt::print(stderr, "{}{}\n", priority,
                   fmt::string_view(msg.payload.data(), msg.payload.size()));
    }
    void flush_() override { std::fflush(stderr); }
};

}  // namespace

void setup(LogLevel level, bool journal) {
    std::shared_ptr<spdlog::logger> logger;
    if (journal) {
        logger = std::make_shared<spdlog::logger>("corral", std::make_shared<JournalSink>());
    } else {
        logger = std::make_shared<spdlog::logger>(
            "corral", std::make_shared<spdlog::sinks::stderr_sink_st>());
        logger->set_pattern("%Y-%m-%d %H:%M:%S.%e [%l] %v");
    }
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(logger);
    set_level(level);
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
