// fake_engine: a model server for tests. It starts in milliseconds, answers in llama-server's
// shapes, and misbehaves exactly as its command line says (options.hpp). A thread a connection,
// plain sockets. Not installed.

#include "tests/fake_engine/answers.hpp"

#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using fake::Engine;
using fake::Notes;
using fake::Options;

void note_pid(const Options& options, pid_t pid) {
    Notes(options.pid_file).append(std::to_string(pid) + "\n");
}

[[noreturn]] void sleep_for_ever() {
    for (;;) {
        ::pause();
    }
}

/// Before any thread and any socket: a fork copies only the thread that forks. The pids are noted
/// before this returns, so that who sees the engine answer finds them.
void fork_grandchildren(const Options& options) {
    if (options.fork_grandchild) {
        const pid_t child = ::fork();
        if (child == 0) {
            sleep_for_ever();
        }
        note_pid(options, child);
    }
    if (!options.setsid_grandchild) {
        return;
    }
    const pid_t middle = ::fork();
    if (middle == 0) {
        ::setsid();
        std::signal(SIGTERM, SIG_IGN);
        std::signal(SIGHUP, SIG_IGN);
        const pid_t escaped = ::fork();
        if (escaped == 0) {
            sleep_for_ever();
        }
        note_pid(options, escaped);
        ::_exit(0);
    }
    ::waitpid(middle, nullptr, 0);
}

void flood(const Options& options) {
    const std::string line =
        options.endless_line ? std::string(4096, 'x') : "flood of lines from fake_engine\n";
    const auto until = std::chrono::steady_clock::now() + options.flood_for;
    while (std::chrono::steady_clock::now() < until) {
        for (int fd = 1; fd <= 2; ++fd) {
            if (::write(fd, line.data(), line.size()) < 0) {
                return;
            }
        }
    }
    Notes(options.events).append("flooded\n");
}

int listen_on_path(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return -1;
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    ::unlink(path.c_str());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, 512) != 0) {
        return -1;
    }
    return fd;
}

int listen_on_port(const std::string& host, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &address.sin_addr);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, 512) != 0) {
        return -1;
    }
    return fd;
}

[[noreturn]] void accept_for_ever(int listener, const Engine& engine) {
    for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        std::thread([fd, &engine] { fake::serve(fd, engine); }).detach();  // ends with the process
    }
}

/// Everything that happens before the engine listens. Returns when it may.
void start(const Options& options) {
    if (options.ignore_term) {
        std::signal(SIGTERM, SIG_IGN);
    } else {
        std::signal(SIGTERM, [](int) { ::_exit(0); });
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::fputs(options.stdout_text.c_str(), stdout);
    std::fflush(stdout);
    std::fputs(options.stderr_text.c_str(), stderr);
    note_pid(options, ::getpid());
    fork_grandchildren(options);
    if (options.close_pipes) {
        ::close(0);
        ::close(1);
        ::close(2);
    }
    if (options.die_at_start >= 0) {
        if (options.signal != 0) {
            fake::die(options);
        }
        ::_exit(options.die_at_start);
    }
    if (options.die_after.count() >= 0) {
        std::thread([&options] {
            std::this_thread::sleep_for(options.die_after);
            fake::die(options);
        }).detach();
    }
    if (options.stdout_flood || options.endless_line) {
        std::thread([&options] { flood(options); }).detach();
    }
    if (options.never_listen) {
        sleep_for_ever();
    }
    std::this_thread::sleep_for(options.listen_late);
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = fake::parse_options({argv + 1, argv + argc});
    Notes record(options.record);
    Notes events(options.events);
    events.append("start " + std::to_string(::getpid()) + " " + options.model + "\n");
    start(options);

    int gate = -1;
    if (!options.gate.empty()) {  // read and write: it must not end when the test's end closes
        gate = ::open(options.gate.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    const int listener = options.socket.empty() ? listen_on_port(options.host, options.port)
                                                : listen_on_path(options.socket);
    if (listener < 0) {
        std::fprintf(stderr, "fake_engine: cannot listen: %s\n", std::strerror(errno));
        return 1;
    }
    const Engine engine{options, std::chrono::steady_clock::now(), gate, record, events};
    std::fprintf(stderr, "fake_engine: %s is listening on port %d\n", options.model.c_str(),
                 options.port);
    accept_for_ever(listener, engine);
}
