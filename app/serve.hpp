#pragma once
// `corral serve`: wires the rooms together and runs the loop. Holds no logic of its own.
// Main thread.

#include "core/config.hpp"
#include "core/config_files.hpp"

#include <string>
#include <vector>

namespace corral {

struct ServeOptions {
    ConfigPlaces config;              ///< both empty: looked for (app/paths.hpp)
    std::vector<std::string> listen;  ///< addresses; empty: the config's, else 127.0.0.1:8091
    TlsFiles tls;                     ///< empty: the config's
    bool watch_config = false;        ///< reload when the config's files change
    bool guard = true;                ///< two processes; false for a debugger
};

/// Runs the server until SIGTERM or SIGINT and returns the exit status. `guard_fd` is readable when
/// the guard has died; -1 without a guard.
[[nodiscard]] int serve(const ServeOptions& options, int guard_fd);

}  // namespace corral
