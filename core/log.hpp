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
/// From now on `line` gets each line as it is written, without its line end, at once. It may not
/// log. An empty function ends it.
void tee(std::function<void(std::string_view line)> line);
/// Whether lines go to standard error (`logToStdout`); errors always do.
void show(bool shown);

/// Bytes from outside made safe for one log line: control characters, what changes the direction of
/// text, and what is no UTF-8 as \xNN; about `max` bytes at most.
[[nodiscard]] std::string clean(std::string_view text, std::size_t max = 512);
/// The same as the value of a field: in quotes where it could be taken for more than one value.
[[nodiscard]] std::string value(std::string_view text, std::size_t max = 512);

}  // namespace corral::log
