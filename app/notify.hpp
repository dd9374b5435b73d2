#pragma once
// Telling systemd how the service is doing (sd_notify(3)). Every call is a no-op when the program
// was not started by systemd or was built without libsystemd. Main thread.

#include <chrono>
#include <optional>
#include <string_view>

namespace corral::notify {

/// READY=1: listening. Sent before any model loads.
void ready(std::string_view status);
/// RELOADING=1 with the time stamp that systemd asks for; `ready` ends it.
void reloading();
/// STOPPING=1.
void stopping();
/// WATCHDOG=1.
void alive();
/// How often systemd expects `alive` at least; nullopt: no watchdog. Half of WATCHDOG_USEC.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval();
/// True when standard error goes to the journal (JOURNAL_STREAM).
[[nodiscard]] bool logs_to_journal();

}  // namespace corral::notify
