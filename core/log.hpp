#pragma once
// The program's log: one line an event on standard error, level and fields `name=value` in the
// message. Log once, where the decision is made; never bodies, keys or command lines.
// Set up by app/; used by shells, never by pure code. Main thread.

#include "core/config.hpp"

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

namespace corral::log {

/// Prepares the log on standard error. With `journal`, lines begin with `<N>` priorities and carry
/// no timestamp, as journald wants them.
void setup(LogLevel level, bool journal);
void set_level(LogLevel level);

/// Bytes from outside made safe for one log line: control characters as \xNN, at most `max` bytes.
[[nodiscard]] std::string clean(std::string_view text, std::size_t max = 512);

}  // namespace corral::log
