// A server under the guard for the tests of supervisor/launch. Arguments: what the server does —
//   exit N | raise N | serve [words…]: runs launch_child with the words, says who it is, and then
// says each signal that comes ("got N"; SIGTERM ends it with status 42) and that the guard has died
// ("guard gone", status 43).

#include "supervisor/launch/guard.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <spawn.h>
#include <string>
#include <string_view>
#include <sys/signalfd.h>
#include <unistd.h>

namespace {

void start_child(char** words) {
    pid_t pid = 0;
    std::string program = CORRAL_LAUNCH_CHILD;
    words[0] = program.data();
    ::posix_spawn(&pid, program.c_str(), nullptr, nullptr, words, environ);
}

void introduce() {
    const char* watchdog = std::getenv("WATCHDOG_PID");
    const bool watched = watchdog != nullptr && std::atoi(watchdog) == ::getpid();
    std::printf("server=%d leader=%d watchdog=%d\n", ::getpid(), ::getpgid(0) == ::getpid(),
                watched);
    std::fflush(stdout);
}

int serve(int guard_fd, char** words) {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
        ::sigaddset(&signals, number);
    }
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    const int signal_fd = ::signalfd(-1, &signals, SFD_CLOEXEC);
    start_child(words);
    introduce();
    while (true) {
        pollfd waits[2] = {{guard_fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
        ::poll(waits, 2, -1);
        signalfd_siginfo info{};
        if (waits[1].revents != 0 && ::read(signal_fd, &info, sizeof info) == sizeof info) {
            std::printf("got %u\n", info.ssi_signo);
            std::fflush(stdout);
            if (info.ssi_signo == SIGTERM) {
                return 42;
            }
        }
        if (waits[0].revents != 0) {
            std::printf("guard gone\n");
            std::fflush(stdout);
            return 43;
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::atexit([] { std::fputs("atexit ran\n", stdout); });
    std::fputs("before the fork\n", stdout);  // buffered: must appear once
    return corral::run_guarded([&](int guard_fd) {
        const std::string_view what(argc > 1 ? argv[1] : "");
        if (what == "exit" && argc > 2) {
            return std::atoi(argv[2]);
        }
        if (what == "raise" && argc > 2) {
            return ::raise(std::atoi(argv[2]));
        }
        return serve(guard_fd, argv + 1);
    });
}
