// bench_stamp FILE NICE PROGRAM WORD…: appends the moment (CLOCK_MONOTONIC, ns) to FILE, gives its
// session this niceness and becomes the program. For tests/bench/swap.py, which wants to know when
// an engine was executed.

#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc < 4) {
        return 2;
    }
    // Whoever waits comes before an engine that spins, as on a machine without other work.
    sched_param lowest{};
    lowest.sched_priority = 1;
    if (::sched_getscheduler(0) == SCHED_FIFO && ::sched_setparam(0, &lowest) != 0) {
        std::perror("bench_stamp: priority");
    }
    // Where sessions share the CPU (autogroup), each process's own niceness is void.
    if (const int group = ::open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC); group >= 0) {
        if (::write(group, argv[2], std::strlen(argv[2])) < 0) {
            std::perror("bench_stamp: autogroup");
        }
    }
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const int file = ::open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[32];
    const int size =
        std::snprintf(line, sizeof line, "%lld\n", now.tv_sec * 1'000'000'000LL + now.tv_nsec);
    if (file < 0 || ::write(file, line, static_cast<std::size_t>(size)) != size) {
        return 2;
    }
    ::execv(argv[3], argv + 3);
    return 127;
}
