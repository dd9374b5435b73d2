#pragma once
// Puts a changed config in force without disturbing what did not change, and says so in the log, to
// systemd and to whoever asked. Main loop only.

#include "app/config_source.hpp"
#include "proxy/api/reload.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <cstdint>
#include <string>

namespace corral {

enum class ReloadCause : std::uint8_t { signal, request, file, scan };

class Reloader {
public:
    /// Borrows both. The fleet holds what the source loaded last.
    Reloader(ConfigSource& source, Fleet& fleet);

    /// Reads the files and applies what is different. Reading them keeps the loop waiting: it is
    /// bounded by the size of a config, and nothing else may happen in between, so a reload never
    /// overtakes another one. A broken file changes nothing.
    api::ReloadReport reload(ReloadCause cause);

    /// One line for `systemctl status`.
    [[nodiscard]] std::string status() const;

private:
    api::ReloadReport load_and_apply(ReloadCause cause);
    void tell(const api::ReloadReport& report, ReloadCause cause) const;

    ConfigSource& source_;
    Fleet& fleet_;
    bool from_files_;      // the config in force, not found by a scan
    std::string failure_;  // of the last reload; empty when it succeeded
};

}  // namespace corral
