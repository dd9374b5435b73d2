#pragma once
// What a fake engine answers: llama-server's shapes in small, and the ways to break them that the
// options ask for. Threads of main.cpp call serve(), one for each connection.

#include "tests/fake_engine/connection.hpp"

#include <chrono>

namespace fake {

/// What all connections of one fake engine share.
struct Engine {
    const Options& options;
    std::chrono::steady_clock::time_point started;
    int gate_fd;  ///< -1: no gate
    Notes& record;
    Notes& events;
};

/// Serves one connection until it ends, and closes it.
void serve(int fd, const Engine& engine);

/// Ends this process as the options say: by a signal or with an exit code.
[[noreturn]] void die(const Options& options);

}  // namespace fake
