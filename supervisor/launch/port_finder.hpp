#pragma once
// Finds TCP ports that a child can listen on now, and keeps those that it has given away from being
// given twice. Belongs to the launcher; main thread. Opens sockets only to bind them for a moment.

#include "core/error.hpp"
#include "core/time.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corral {

class PortFinder {
public:
    /// How long a port is kept for a launch that has not come yet.
    static constexpr Duration promise_time = Duration(5000);

    /// A port that nothing listens on, at any address of this machine: `preferred` if it is free
    /// and not promised, else one of the next hundred, else any. 0: any. Error: io.
    [[nodiscard]] Result<std::uint16_t> find(std::uint16_t preferred, TimePoint now);

    /// A process was started: ports that stand as a number in one of `words` are its own until
    /// release(), however late it listens.
    void assign(const std::vector<std::string>& words, pid_t owner);
    /// These words were not launched after all: their ports are free for others at once.
    void give_back(const std::vector<std::string>& words);
    /// The process has ended.
    void release(pid_t owner);

private:
    struct Promise {
        pid_t owner = 0;  ///< 0: not launched yet
        TimePoint until;
    };
    [[nodiscard]] bool promised(std::uint16_t port, TimePoint now) const;

    std::map<std::uint16_t, Promise> promises_;
};

/// True when a server could bind and listen on this port now: no listener on any address has it;
/// connections of an earlier server that only fade away (TIME_WAIT) do not matter.
[[nodiscard]] bool port_is_free(std::uint16_t port);

/// True when one of the words holds this number as a whole, as in "8080" or ":8080/". Pure.
[[nodiscard]] bool names_port(const std::vector<std::string>& words, std::uint16_t port);

/// True when this text of /proc/net/tcp or tcp6 shows a listener on the port. Listeners stand
/// before connections in these files; reading ends at the first connection. Pure.
[[nodiscard]] bool shows_listener(std::string_view proc_net_tcp, std::uint16_t port) noexcept;

}  // namespace corral
