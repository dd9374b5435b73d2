#pragma once
// The options of `corral scan` and `corral regenerate` that say what `discovery:` in a config says.
// Main thread.

#include "app/rescan.hpp"

#include <memory>

namespace CLI {
class App;
}

namespace corral {

/// Adds them to a command; `flags` is filled when the command line is parsed.
void add_scan_flags(CLI::App& command, const std::shared_ptr<ScanFlags>& flags);

}  // namespace corral
