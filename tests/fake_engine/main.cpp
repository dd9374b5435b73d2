// fake_engine: a model server for tests. It starts in milliseconds, answers in llama-server's
// shapes, and misbehaves exactly as its command line says (options.hpp). A thread a connection,
// plain sockets. Not installed.

#include "tests/fake_engine/answers.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
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

/// One process that stays, behind `before` (which may fork again and end). Its pid is noted before
/// this returns, so that who sees the engine answer finds it.
void fork_away(const Options& options, bool orphaned, void (*before)()) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return;
    }
    const pid_t first = ::fork();
    if (first == 0) {
        before();
        if (orphaned && ::fork() != 0) {
            ::_exit(0);
        }
        note_pid(options, ::getpid());
        ::close(ends[0]);
        ::close(ends[1]);
        sleep_for_ever();
    }
    ::close(ends[1]);
    char byte = 0;
    while (::read(ends[0], &byte, 1) < 0 && errno == EINTR) {  // its end: the pid is noted
    }
    ::close(ends[0]);
    if (orphaned) {
        ::waitpid(first, nullptr, 0);
    }
}

/// Before any thread and any socket: a fork copies only the thread that forks.
void fork_grandchildren(const Options& options) {
    if (options.fork_grandchild) {
        fork_away(options, false, [] {});
    }
    if (options.double_fork) {
        fork_away(options, true, [] {});
    }
    if (options.regroup_grandchild) {
        fork_away(options, false, [] {
            ::setpgid(0, 0);
            std::signal(SIGTERM, SIG_IGN);
        });
    }
    if (options.setsid_grandchild) {
        fork_away(options, true, [] {
            ::setsid();
            std::signal(SIGTERM, SIG_IGN);
            std::signal(SIGHUP, SIG_IGN);
        });
    }
}

void flood(const Options& options) {
    const std::string line =
        options.endless_line ? std::string(4096, 'x') : "flood of lines from fake_engine\n";
    const auto until = std::chrono::steady_clock::now() + options.flood_for;
    while (std::chrono::steady_clock::now() < until) {
        for (int fd = options.stderr_flood ? 2 : 1; fd <= 2; ++fd) {
            if (::write(fd, line.data(), line.size()) < 0) {
                return;
            }
        }
    }
    Notes(options.events).append("flooded\n");
}

/// Resident memory, step by step, so that who looks sees it grow.
void eat_memory(std::size_t bytes) {
    constexpr std::size_t step = std::size_t{4} << 20;
    for (std::size_t eaten = 0; eaten < bytes; eaten += step) {
        void* piece = ::mmap(nullptr, step, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (piece == MAP_FAILED) {
            fake::die(Options{});
        }
        std::memset(piece, 1, step);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

/// Like a daemon: nothing that it was given stays open.
void close_all_descriptors() {
    ::close_range(0, ~0U, 0);
    for (int fd = 0; fd < 3; ++fd) {
        ::open("/dev/null", O_RDWR);
    }
}

/// What a log reader must survive: NUL, invalid UTF-8, an unfinished escape and colours.
void print_binary() {
    constexpr char bytes[] =
        "nul\0nul \xff\xfe\xc3( \xed\xa0\x80 \x1b[31mred\x1b[0m \x1b]0;title\x07 \r\n\x1b[";
    for (int i = 0; i < 64; ++i) {
        std::fwrite(bytes, 1, sizeof bytes - 1, stderr);
    }
}

std::string now_ns() {
    return std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
}

/// A lock of this process, which the kernel takes back however it ends: who finds it taken runs
/// beside one that it must not run beside.
void take_exclusive_lock(const Options& options, Notes& events) {
    if (options.exclusive.empty()) {
        return;
    }
    const int file = ::open(options.exclusive.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    if (file < 0 || ::fcntl(file, F_SETLK, &lock) == 0) {
        return;
    }
    ::fcntl(file, F_GETLK, &lock);
    events.append("overlap " + std::to_string(lock.l_pid) + " " + now_ns() + "\n");
}

/// With --term-delay: takes SIGTERM in a thread of its own, and ends later.
void end_late(const Options& options) {
    sigset_t term;
    ::sigemptyset(&term);
    ::sigaddset(&term, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &term, nullptr);
    std::thread([&options, term] {
        int number = 0;
        ::sigwait(&term, &number);
        std::this_thread::sleep_for(options.term_delay);
        ::_exit(0);
    }).detach();
}

int listen_on_path(const std::string& path, bool removes_old) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return -1;
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (removes_old) {
        ::unlink(path.c_str());
    }
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

/// With --die-once FILE the second start lives.
bool dies_now(const Options& options) {
    return options.die_once.empty() ||
           ::close(::open(options.die_once.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                          0600)) == 0;
}

/// Everything that happens before the engine listens. Returns when it may.
void start(const Options& options) {
    if (options.ignore_term) {
        std::signal(SIGTERM, SIG_IGN);
    } else {
        std::signal(SIGTERM, [](int) { ::_exit(0); });
    }
    std::signal(SIGPIPE, SIG_IGN);
    if (options.binary_output) {
        print_binary();
    }
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
    if (options.die_at_start >= 0 && dies_now(options)) {
        if (options.signal != 0) {
            fake::die(options);
        }
        ::_exit(options.die_at_start);
    }
    if (options.term_delay.count() > 0) {
        end_late(options);  // before the other threads, which inherit that SIGTERM is blocked
    }
    if (options.die_after.count() >= 0) {
        std::thread([&options] {
            std::this_thread::sleep_for(options.die_after);
            fake::die(options);
        }).detach();
    }
    if (!options.eat_memory.empty()) {
        std::thread([&options] { eat_memory(fake::parse_size(options.eat_memory)); }).detach();
    }
    if (options.stdout_flood || options.stderr_flood || options.endless_line) {
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
    if (options.close_all) {
        close_all_descriptors();
    }
    Notes record(options.record);
    Notes events(options.events);
    events.append("start " + std::to_string(::getpid()) + " " + options.model + " " + now_ns() +
                  "\n");
    take_exclusive_lock(options, events);
    start(options);

    int gate = -1;
    if (!options.gate.empty()) {  // read and write: it must not end when the test's end closes
        gate = ::open(options.gate.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    const int listener = options.socket.empty()
                             ? listen_on_port(options.host, options.port)
                             : listen_on_path(options.socket, !options.no_unlink);
    if (listener < 0) {
        std::fprintf(stderr, "fake_engine: cannot listen: %s\n", std::strerror(errno));
        return 1;
    }
    const Engine engine{options, std::chrono::steady_clock::now(), gate, record, events};
    events.append("listening " + std::to_string(::getpid()) + " " + now_ns() + "\n");
    std::fprintf(stderr, "fake_engine: %s is listening on port %d\n", options.model.c_str(),
                 options.port);
    accept_for_ever(listener, engine);
}
