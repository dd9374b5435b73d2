#pragma once
// One process of a model from exec to exit, for the files that implement ModelProcess; nobody else.
// Main loop only.

#include "core/endpoint.hpp"
#include "core/time.hpp"
#include "supervisor/fleet/model_process.hpp"
#include "supervisor/fleet/wakeup.hpp"
#include "supervisor/launch/launcher.hpp"
#include "supervisor/logic/memory_return.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace corral {

/// Shared by the coroutines that watch it.
struct ModelProcess::Run {
    explicit Run(const boost::asio::any_io_executor& executor)
        : over(executor), heard(executor), enough(executor) {}
    std::unique_ptr<Child> child;
    std::uint16_t port = 0;
    std::shared_ptr<const Endpoint> endpoint;
    std::string check_path;  // empty: a connection is enough
    TimePoint launched;
    TimePoint deadline;  // for readiness
    Wakeup over;         // it has left `starting`: nobody needs to probe any more
    bool probing = true;
    TimePoint heard_at;  // when it last wrote something, `launched` before that
    Wakeup heard;        // it has written something
    bool ended = false;
    std::string intruder;       // who else answers at its address; empty: nobody
    TimePoint intruder_seen{};  // at first
    bool place_taken = false;   // it was killed for that
    MemoryReturn gpu_memory;
    /// Stop commands are at work: the process counts as gone when they are done, too, because they
    /// may be what ends the rest of it (a container).
    bool stopping = false;
    Wakeup enough;  // commands that run beside it are to end now: it is killed
    std::optional<ExitStatus> held_exit;  // meanwhile
};

}  // namespace corral
