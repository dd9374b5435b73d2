#pragma once
// Telling systemd how the service is doing (sd_notify(3)), and what it has passed on. Every call is
// a no-op when the program was not started by systemd or was built without libsystemd. Main thread.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
/// A socket of a socket unit (sd_listen_fds(3)), with the name that the unit gives it.
struct PassedSocket {
    int descriptor = -1;
    std::string name;
};
/// Those that were passed to this process, closed on exec. Takes what says so out of the
/// environment, so that a second call finds none.
[[nodiscard]] std::vector<PassedSocket> passed_sockets();
/// True when standard error goes to the journal (JOURNAL_STREAM).
[[nodiscard]] bool logs_to_journal();

}  // namespace corral::notify
