#pragma once
// Which process listens on a TCP port: the kernel names the socket (socket_diag.hpp, or where it
// does not, /proc/net/tcp), /proc/PID/fd who holds it.
// And on a Unix socket: the kernel tells whoever connects.
// For launch/ only; any thread. Reads; what may not be read counts as not there.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corral {

/// The inodes of the sockets that listen on this port at an address that a connection to loopback
/// reaches, from the text of /proc/net/tcp or tcp6. Listeners stand before connections there, so
/// that the first connection ends the reading. Pure.
[[nodiscard]] std::vector<std::uint64_t> parse_listeners(std::string_view proc_net_tcp,
                                                         std::uint16_t port);

/// The same of this machine, IPv4 and IPv6.
[[nodiscard]] std::vector<std::uint64_t> listening_sockets(std::uint16_t port);

/// The first of these processes that has one of the sockets open; 0: none that lets us look.
[[nodiscard]] pid_t holder_of(const std::vector<std::uint64_t>& sockets,
                              const std::vector<pid_t>& processes);

/// Every process that can be seen.
[[nodiscard]] std::vector<pid_t> all_process_ids();

/// Who listens on the Unix socket at this path; 0: somebody who cannot be seen, or too busy to be
/// asked; nothing: nobody. Connects for that, and never waits.
[[nodiscard]] std::optional<pid_t> holder_of_socket_file(const std::string& path);

/// Removes the socket that a dead server has left at this path: a new one could not listen there.
/// False when there is none, somebody listens on it, or it is no socket at all.
bool remove_dead_socket_file(const std::string& path) noexcept;

/// What its program calls itself (/proc/PID/comm), any bytes; empty when it is gone.
[[nodiscard]] std::string process_name(pid_t pid);

}  // namespace corral
