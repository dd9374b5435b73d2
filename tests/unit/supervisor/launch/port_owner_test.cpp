// Who listens on a port: the texts of /proc, and real listeners of real processes.

#include "supervisor/launch/port_owner.hpp"

#include "yard.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace corral;
using namespace corral::test;

namespace {

using Inodes = std::vector<std::uint64_t>;

constexpr const char* table =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 11 1 "
    "0000000000000000 100 0 0 10 0\n"
    "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 12 1\n"
    "   2: 0201A8C0:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 13 1\n"
    "   3: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 14 1\n"
    "   4: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  0        0 15 1\n"
    "   5: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 16 1\n"
    "   6: 0100007F:1F90\n";
constexpr const char* table6 =
    "  sl  local_address                         remote_address                        st\n"
    "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 21 1\n"
    "   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 22 1\n"
    "   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 23 1\n"
    "   3: B80D0120000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 24 1\n";

/// A listener at loopback on a free port.
class LoopbackListener {
public:
    LoopbackListener() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(fd, generic, size) == 0);
        REQUIRE(::listen(fd, 1) == 0);
        REQUIRE(::getsockname(fd, generic, &size) == 0);
        port = ::ntohs(address.sin_port);
    }
    ~LoopbackListener() { ::close(fd); }
    LoopbackListener(const LoopbackListener&) = delete;
    LoopbackListener& operator=(const LoopbackListener&) = delete;

    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("listeners that loopback reaches are found in the kernel's tables") {
    // Guards: neither connections nor listeners at other addresses or ports are taken for it.
    CHECK(parse_listeners(table, 8080) == Inodes{11, 12});
    CHECK(parse_listeners(table, 8081) == Inodes{14});
    CHECK(parse_listeners(table6, 8080) == Inodes{21, 22, 23});
    CHECK(parse_listeners(table, 80).empty());
    CHECK(parse_listeners("", 8080).empty());
}

TEST_CASE("the process that listens on a port is found by its socket") {
    // Guards: the inode of the table and the link in /proc/PID/fd belong together.
    const LoopbackListener listener;
    const auto sockets = listening_sockets(listener.port);
    CHECK(sockets.size() == 1);
    CHECK(holder_of(sockets, {::getppid(), ::getpid()}) == ::getpid());
    CHECK(holder_of(sockets, {1'999'999'999}) == 0);
    CHECK(holder_of({}, {::getpid()}) == 0);
    CHECK(!process_name(::getpid()).empty());
    CHECK(process_name(1'999'999'999).empty());
}

TEST_CASE("a listener that was there before the child is foreign") {
    // Guards: a stale server on a model's port never answers for it.
    const LoopbackListener listener;  // this process is older than any child of it
    Yard yard;
    auto child = yard.start({"report", "pause"});
    yard.pids(*child, 1);
    const auto found = child->listener(listener.port);
    CHECK(found.owner == ListenerOwner::foreign);
    CHECK(found.pid == ::getpid());
    CHECK(found.name == process_name(::getpid()));
    child->kill();
    yard.wait(*child);
    CHECK(child->listener(listener.port).owner == ListenerOwner::unknown);
}

TEST_CASE("the child's own listener is ours, another model's is foreign") {
    // Guards: whoever in the tree listens answers for the model, and nobody else's tree does.
    Yard yard;
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"listen", "pause"}, {"spawn=3", "setsid", "listen", "pause", "pause"}}) {
        auto other = yard.start({"report", "pause"});
        yard.pids(*other, 1);
        auto child = yard.start(words);
        std::vector<int> ports;
        REQUIRE(yard.until([&] {
            ports = numbers_after(child->last_lines(9), "port=");
            return !ports.empty();
        }));
        const auto port = static_cast<std::uint16_t>(ports.front());
        CHECK(child->listener(port).owner == ListenerOwner::ours);
        CHECK(other->listener(port).owner == ListenerOwner::foreign);
    }
}

TEST_CASE("a port on which nobody is seen to listen has no known owner") {
    // Guards: containers and tunnels, whose listeners are out of sight, are accepted.
    std::uint16_t port = 0;
    {
        const LoopbackListener gone;
        port = gone.port;
    }
    Yard yard;
    auto child = yard.start({"report", "pause"});
    CHECK(child->listener(port).owner == ListenerOwner::unknown);
}
