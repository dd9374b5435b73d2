#pragma once
// Asks a running server on this machine to read its config again: over http, https or a Unix
// socket, wherever its config says that it listens. Blocks for some seconds at most. Main thread of
// a command; never in the server.

#include "core/config_load.hpp"

#include <string>

namespace corral {

/// What the command line says about the server.
struct ServerPlace {
    std::string address;      ///< as in `listen:`; empty: those that the config has
    std::string certificate;  ///< PEM file; empty: the config's `tls.certFile`
};

struct ServerAnswer {
    bool failed = false;  ///< a server is there and did not do it
    std::string text;     ///< a sentence for a person
};

/// The API key is the first of the config `file`, when it has one.
[[nodiscard]] ServerAnswer tell_server_to_reload(const ServerPlace& place, const std::string& file,
                                                 const EnvironmentLookup& environment);

}  // namespace corral
