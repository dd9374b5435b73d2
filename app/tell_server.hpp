#pragma once
// Asks a running server on this machine to read its config again. Blocks for some seconds at most.
// Main thread of a command; never in the server.

#include "core/config_load.hpp"

#include <string>

namespace corral {

struct ServerAnswer {
    bool failed = false;  ///< a server is there and did not do it
    std::string text;     ///< a sentence for a person
};

/// `server` is HOST:PORT. The API key is the first of the config `file`, when it has one.
[[nodiscard]] ServerAnswer tell_server_to_reload(const std::string& server, const std::string& file,
                                                 const EnvironmentLookup& environment);

}  // namespace corral
