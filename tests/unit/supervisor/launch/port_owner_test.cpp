// Who listens on a port: the texts of /proc, and real listeners of real processes.

#include "supervisor/launch/port_owner.hpp"

#include "yard.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/// A listener on a Unix socket, which leaves its file behind like most servers.
class SocketListener {
public:
    explicit SocketListener(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        REQUIRE(path.size() < sizeof address.sun_path);
        std::copy(path.begin(), path.end(), std::begin(address.sun_path));
        REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(fd, 8) == 0);
    }
    ~SocketListener() { ::close(fd); }
    SocketListener(const SocketListener&) = delete;
    SocketListener& operator=(const SocketListener&) = delete;

    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

struct TemporaryFolder {
    TemporaryFolder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    std::string path = "/tmp/corral-XXXXXX";  // short enough for a socket
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

TEST_CASE("the listener of a Unix socket is told by the kernel") {
    // Guards: who was there before the child is foreign; nobody, and no socket, is nobody.
    const TemporaryFolder folder;
    const std::string path = folder.path + "/s.sock";
    CHECK(!holder_of_socket_file(path));
    Yard yard;
    {
        const SocketListener listener(path);
        CHECK(holder_of_socket_file(path) == ::getpid());
        auto child = yard.start({"report", "pause"});
        yard.pids(*child, 1);
        const auto found = child->listener_at(path);
        CHECK(found.owner == ListenerOwner::foreign);
        CHECK(found.pid == ::getpid());
    }
    CHECK(!holder_of_socket_file(path));
    CHECK(!holder_of_socket_file(std::string(200, 'x')));
}

TEST_CASE("only the socket of a dead server is removed") {
    // Guards: no file that is no socket, and nobody's socket who listens, is ever removed.
    const TemporaryFolder folder;
    const std::string path = folder.path + "/s.sock";
    CHECK_FALSE(remove_dead_socket_file(path));
    {
        const SocketListener listener(path);
        CHECK_FALSE(remove_dead_socket_file(path));
        CHECK(holder_of_socket_file(path) == ::getpid());
    }
    CHECK(std::filesystem::exists(std::filesystem::symlink_status(path)));
    std::filesystem::create_symlink(path, folder.path + "/link");
    CHECK_FALSE(remove_dead_socket_file(folder.path + "/link"));
    CHECK(remove_dead_socket_file(path));
    CHECK_FALSE(std::filesystem::exists(path));
    std::ofstream(path) << "a file";
    CHECK_FALSE(remove_dead_socket_file(path));
    CHECK(std::filesystem::exists(path));
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
