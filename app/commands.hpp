#pragma once
// The commands of `corral`. Each adds its subcommand to the command line; when the subcommand was
// given, its callback does the work and sets `status`, the process's exit status. Main thread,
// before any other thread.

namespace CLI {
class App;
}

namespace corral {

/// `corral serve`: the proxy. Exit 0 after SIGTERM or SIGINT, 1 when it cannot start.
void add_serve_command(CLI::App& app, int& status);

/// `corral check`: reads configs and points at mistakes. Exit 0 clean, 1 errors, 2 unreadable.
void add_check_command(CLI::App& app, int& status);

/// `corral scan`: finds models and writes a config. Exit 0 found, 1 nothing found, 2 error; with
/// --diff 0 nothing changes, 1 something does, 2 error.
void add_scan_command(CLI::App& app, int& status);

/// `corral regenerate`: renews the config in use and has the running server reload it. Exit as
/// scan.
void add_regenerate_command(CLI::App& app, int& status);

/// `corral schema`: prints the JSON Schema of a config. Exit 0 printed, 1 it could not be written.
void add_schema_command(CLI::App& app, int& status);

}  // namespace corral
