// What is around a model's process: who else may have its port, and the GPU's memory that comes
// back after its end.
#include "core/log.hpp"
#include "supervisor/fleet/model_process.hpp"
#include "supervisor/fleet/model_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace corral {

namespace asio = boost::asio;

namespace {

/// A child that cannot have its port mostly ends of it, and says best why. It gets this long.
constexpr Duration intruder_patience{1'000};

/// Whether a connection to this host ends at this machine's loopback interface.
bool is_loopback(std::string_view host) {
    constexpr std::array<std::string_view, 3> names{"localhost", "::1", "0.0.0.0"};
    return host.starts_with("127.") || std::find(names.begin(), names.end(), host) != names.end();
}

std::string place_of(const Endpoint& endpoint) {
    return endpoint.unix_path.empty() ? fmt::format("port {}", endpoint.port)
                                      : "the socket " + log::clean(endpoint.unix_path);
}

}  // namespace

/// True unless it was somebody else who answered: then it is not ready, and ends as failed.
bool ModelProcess::answers_itself(Run& run) const {
    const Endpoint& endpoint = *run.endpoint;
    Listener found;  // elsewhere nobody can look
    if (!endpoint.unix_path.empty()) {
        found = run.child->listener_at(endpoint.unix_path);
    } else if (is_loopback(endpoint.host)) {
        found = run.child->listener(endpoint.port);
    }
    if (found.owner != ListenerOwner::foreign) {
        run.intruder.clear();
        run.gpu_memory.at_ready(launcher_.gpu_memory_used());
        return true;
    }
    if (run.intruder.empty()) {
        run.intruder_seen = Clock::now();
        run.intruder = fmt::format(
            "address already in use: {} is held by process {} ({}), which is not this model's\n",
            place_of(endpoint), found.pid, log::clean(found.name));
        spdlog::warn("model={} pid={} {}", log::clean(id_.str()), run.child->pid(),
                     std::string_view(run.intruder).substr(0, run.intruder.size() - 1));
    } else if (Clock::now() - run.intruder_seen >= intruder_patience) {
        run.place_taken = true;
        run.child->kill();
    }
    return false;
}

/// After its end: until the driver has given back what it had of the GPUs, or long enough.
asio::awaitable<void> ModelProcess::until_memory_is_back(Self self, RunPtr run) {
    const TimePoint gone = Clock::now();
    bool back = self->abandoned_;
    while (!back) {
        const auto since = std::chrono::duration_cast<Duration>(Clock::now() - gone);
        back = run->gpu_memory.is_back(self->launcher_.gpu_memory_used(), since);
        if (back) {
            if (since >= MemoryReturn::interval) {
                spdlog::info("model={} its GPU memory came back duration_ms={}",
                             log::clean(self->id_.str()), since.count());
            }
            break;
        }
        Wakeup nobody(self->executor_);
        const TimePoint next = Clock::now() + MemoryReturn::interval;
        const Woken woken = co_await nobody.wait(next);
        back = woken != Woken::deadline || self->abandoned_;
    }
}

}  // namespace corral
