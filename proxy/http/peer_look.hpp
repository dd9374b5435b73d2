#pragma once
// One look at the other end of a connection: whether it is still there. Main loop only.

#include <cstdint>
#include <poll.h>

namespace corral::http {

enum class Peer : std::uint8_t { here, gone, sent_more };

/// Without waiting, and without taking anything.
inline Peer look_at_peer(int fd) noexcept {
    pollfd entry{fd, POLLIN | POLLRDHUP, 0};
    if (::poll(&entry, 1, 0) <= 0) {
        return Peer::here;
    }
    if ((entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0) {
        return Peer::gone;
    }
    return (entry.revents & POLLIN) != 0 ? Peer::sent_more : Peer::here;
}

}  // namespace corral::http
