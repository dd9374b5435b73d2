#pragma once
// The sockets that listen on a TCP port, as the kernel tells by netlink (sock_diag(7)). The text of
// /proc/net/tcp says the same, but to read it is to walk through the table of all connections: 1 to
// 5 ms on a machine with much memory, however few there are.
// For launch/ only; any thread; never waits.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace corral {

/// One datagram of the kernel's answer.
struct DiagPart {
    std::vector<std::uint64_t> inodes;  ///< of listeners that a connection to loopback reaches
    bool last = false;                  ///< the answer ends here
    bool failed = false;                ///< it is no answer, or "I cannot tell"
};

/// Reads a datagram of messages (inet_diag_msg of linux/inet_diag.h), keeping those of this port.
/// Any bytes. Pure.
[[nodiscard]] DiagPart parse_diag_part(std::span<const std::byte> datagram, std::uint16_t port);

/// The inodes of the sockets that listen on this port at an address that a connection to loopback
/// reaches, IPv4 and IPv6; nothing where the kernel does not tell.
[[nodiscard]] std::optional<std::vector<std::uint64_t>> diagnose_listeners(std::uint16_t port);

}  // namespace corral
