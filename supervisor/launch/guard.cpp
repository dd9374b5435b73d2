// The guard process, and the killing of everything below a process. Plain system calls: no loop, no
// thread, no log (core/log is set up by the server); what it has to say goes to standard error.

#include "supervisor/launch/guard.hpp"

#include "supervisor/launch/process_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <set>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

constexpr int kill_timeout_ms = 10'000;
constexpr int pause_ms_max = 20;
constexpr int descriptors_max = 65536;
constexpr int reaped_a_round_max = 1024;  ///< a fork bomb may end faster than it can be reaped
constexpr std::array forwarded_signals{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

sigset_t guard_signals() noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : forwarded_signals) {
        ::sigaddset(&set, number);
    }
    ::sigaddset(&set, SIGCHLD);
    ::sigaddset(&set, SIGTSTP);
    return set;
}

/// Started with a standard stream closed, the next file opened would take its place.
void open_standard_streams() noexcept {
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) {
            ::open("/dev/null", O_RDWR);  // gets the lowest number, which is fd
        }
    }
}

/// A parent may have left it ignored; then children would be reaped by the kernel, their status
/// lost.
void take_child_signal_back() noexcept {
    struct sigaction action {};
    if (::sigaction(SIGCHLD, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
        ::signal(SIGCHLD, SIG_DFL);
    }
}

/// systemd addresses the watchdog and passed sockets to a pid, that of the process it started; both
/// are for the server.
void readdress(const char* name, pid_t guard) {
    const char* value = ::getenv(name);
    if (value != nullptr && fmt::format("{}", guard) == value) {
        ::setenv(name, fmt::format("{}", ::getpid()).c_str(), 1);
    }
}

[[noreturn]] void be_server(const std::function<int(int)>& server, int guard_fd, pid_t guard) {
    // A group of its own: Ctrl-C in a terminal then reaches the guard only, which forwards it once.
    ::setpgid(0, 0);
    // And what that would bring on a terminal with `stty tostop`: writing must not stop us.
    ::signal(SIGTTOU, SIG_IGN);
    ::signal(SIGTTIN, SIG_IGN);
    become_subreaper();
    if (::getenv("WATCHDOG_USEC") != nullptr) {
        ::setenv("WATCHDOG_PID", fmt::format("{}", ::getpid()).c_str(), 1);
    }
    readdress("LISTEN_PID", guard);
    const int status = server(guard_fd);
    kill_all_descendants(kill_timeout_ms);
    std::exit(status);
}

/// The guard keeps the standard streams and its end of the pipe, nothing else: no socket that
/// systemd passed on, no file of main's.
void close_all_but(int pipe_end) noexcept {
    if (::dup2(pipe_end, 3) != 3) {
        return;
    }
    ::fcntl(3, F_SETFD, FD_CLOEXEC);
    if (::syscall(SYS_close_range, 4U, ~0U, 0U) != 0) {
        for (int fd = 4; fd < descriptors_max; ++fd) {  // an old kernel, or a seccomp filter
            ::close(fd);
        }
    }
}

/// Gives back the pages of code and constants that the start has touched, OpenSSL's among them.
/// Nothing of this process runs from now on but its loop, and that comes back from the page cache.
/// Only what the loader maps unwritable: such pages are as they stand in the file.
void forget_code() noexcept {
    const auto of_library = [](dl_phdr_info* info, std::size_t, void*) {
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& segment = info->dlpi_phdr[i];
            const std::uintptr_t from = info->dlpi_addr + segment.p_vaddr + page - 1;
            const std::uintptr_t to = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
            if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) == 0) {
                const std::uintptr_t begin = from / page * page;
                const std::uintptr_t end = to / page * page;
                if (begin < end) {
                    // NOLINTNEXTLINE(performance-no-int-to-ptr): the loader gives numbers
                    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
                }
            }
        }
        return 0;
    };
    ::dl_iterate_phdr(of_library, nullptr);
}

int exit_status(int wait_status) noexcept {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/// Ctrl-Z: stops the server and then this process; both go on together.
void stop_together(pid_t server) noexcept {
    ::kill(server, SIGSTOP);
    ::kill(::getpid(), SIGSTOP);
    ::kill(server, SIGCONT);
}

/// Reaps everything that has ended; the server's status when it is among them.
bool reap_ended(pid_t server, int& server_status) noexcept {
    bool ended = false;
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == server) {
            server_status = status;
            ended = true;
        }
    }
    return ended;
}

int be_guard(pid_t server, const sigset_t& signals, const std::function<void()>& afterwards) {
    int status = 0;
    while (!reap_ended(server, status)) {
        const int number = ::sigwaitinfo(&signals, nullptr);
        if (number == SIGTSTP) {
            stop_together(server);
        } else if (number > 0 && number != SIGCHLD) {
            ::kill(server, number);
        }
    }
    kill_all_descendants(kill_timeout_ms);
    if (afterwards) {
        afterwards();
        kill_all_descendants(kill_timeout_ms);
    }
    return exit_status(status);
}

/// Kills whoever descends from us now; adds whom it hit for the first time to `killed`.
void kill_round(std::set<std::pair<pid_t, std::uint64_t>>& killed) {
    each_descendant(::getpid(), [&killed](const ProcessInfo& info) {
        if (signal_process(info, SIGKILL)) {
            killed.emplace(info.pid, info.start_ticks);
        }
    });
}

std::int64_t now_ms() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

int run_guarded(const std::function<int(int guard_fd)>& server,
                const std::function<void()>& afterwards) {
    open_standard_streams();
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        std::fprintf(stderr, "corral: cannot start: %s\n", std::strerror(errno));
        return 1;
    }
    take_child_signal_back();
    become_subreaper();
    const sigset_t signals = guard_signals();
    sigset_t before;
    ::sigprocmask(SIG_BLOCK, &signals, &before);
    std::fflush(nullptr);  // or both would write what is buffered
    const pid_t guard = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        std::fprintf(stderr, "corral: cannot start: %s\n", std::strerror(errno));
        return 1;
    }
    if (pid == 0) {
        ::close(ends[1]);
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        be_server(server, ends[0], guard);
    }
    ::setpgid(pid, pid);  // the server does it, too: whoever comes first
    close_all_but(ends[1]);
    forget_code();
    return be_guard(pid, signals, afterwards);
}

void become_subreaper() noexcept {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    take_child_signal_back();
}

int kill_all_descendants(int timeout_ms) noexcept {
    std::set<std::pair<pid_t, std::uint64_t>> killed;
    const std::int64_t give_up = now_ms() + timeout_ms;
    for (int pause_ms = 0;; pause_ms = std::min(pause_ms * 2 + 1, pause_ms_max)) {
        const std::size_t killed_before = killed.size();
        kill_round(killed);
        pid_t reaped = 0;
        bool progress = false;
        for (int i = 0; i < reaped_a_round_max && reaped >= 0; ++i) {
            reaped = ::waitpid(-1, nullptr, WNOHANG);
            if (reaped == 0) {
                break;
            }
            progress = progress || reaped > 0;
        }
        if (progress || killed.size() > killed_before) {
            pause_ms = 0;  // what forks faster than it is killed must be caught between the two
        }
        // No child at all means no descendant at all: a subreaper gets the orphans below it.
        if ((reaped < 0 && errno == ECHILD) || now_ms() >= give_up) {
            return static_cast<int>(killed.size());
        }
        ::poll(nullptr, 0, pause_ms);
    }
}

}  // namespace corral
