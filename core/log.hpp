#pragma once
// The program's log: one line an event on standard error, level and fields `name=value` in the
// message. Log once, where the decision is made; never bodies, keys or command lines.
// Set up by app/; used by shells, never by pure code. Main thread.

#include "core/config.hpp"

#include <spdlog/spdlog.h>

#include <functional>
#include <string>
#include <string_view>

namespace corral::log {

/// Prepares the log on standard error. With `journal`, lines begin with `<N>` priorities and carry
/// no timestamp, as journald wants them.
void setup(LogLevel level, bool journal);
void set_level(LogLevel level);

/// Where the line of a finished request goes. Such lines may wait for others, see defer().
[[nodiscard]] spdlog::logger& access();
/// From now on access lines may wait, so that many of them leave in one write; any other line takes
/// them along at once. `soon` is called when the first of them begins to wait: it sees to it that
/// flush() is called. An empty function ends it.
void defer(std::function<void()> soon);
/// Writes what waits.
void flush();

/// Bytes from outside made safe for one log line: control characters as \xNN, at most `max` bytes.
[[nodiscard]] std::string clean(std::string_view text, std::size_t max = 512);

}  // namespace corral::log
