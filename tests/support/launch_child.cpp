// A badly behaved child for the tests of supervisor/launch: does what its words say, one after the
// other. Knows nothing of Corral. Its own program, so that tests see a real exec.
//
//   exit=N raise=N print=TEXT report (writes pid=N) fds (lists open files) state env pause
//   linger (ends 100 ms after SIGTERM, saying so) ignore-term setsid setpgid close-output
//   flood=BYTES endless=BYTES thread-exit hop (for ever: forks, the parent ends, the child leaves
//   its session and does the same) clear-env (goes on in a new image without environment) spawn=N
//   (a child does the next N words) limits (what it may take) eat=MIB
//   listen (on a free port at loopback, which it writes: port=N)

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void say(std::string text) {
    text += '\n';
    for (std::string_view rest(text); !rest.empty();) {
        const ssize_t n = ::write(1, rest.data(), rest.size());
        if (n <= 0) {
            return;
        }
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
}

[[noreturn]] void pause_for_ever() {
    while (true) {
        ::pause();
    }
}

void write_many(std::size_t bytes, std::string_view line) {
    std::string chunk;
    while (chunk.size() < 64 * 1024) {
        chunk += line;
    }
    for (std::size_t done = 0; done < bytes;) {
        const ssize_t n = ::write(1, chunk.data(), chunk.size());
        if (n <= 0) {
            return;
        }
        done += static_cast<std::size_t>(n);
    }
}

void list_files() {
    for (int fd = 0; fd < 1024; ++fd) {
        std::array<char, 256> target{};
        const auto link = "/proc/self/fd/" + std::to_string(fd);
        if (::readlink(link.c_str(), target.data(), target.size() - 1) > 0) {
            say("fd=" + std::to_string(fd) + " " + target.data());
        }
    }
}

void tell_state() {
    sigset_t blocked;
    ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
    int unusual = 0;
    for (int number = 1; number <= SIGSYS; ++number) {
        struct sigaction action {};
        ::sigaction(number, nullptr, &action);
        unusual += ::sigismember(&blocked, number) == 1 || action.sa_handler != SIG_DFL ? 1 : 0;
    }
    int death_signal = 0;
    ::prctl(PR_GET_PDEATHSIG, &death_signal);
    say("leader=" + std::to_string(::getpid() == ::getpgid(0) && ::getpid() == ::getsid(0)));
    say("unusual_signals=" + std::to_string(unusual));
    say("death_signal=" + std::to_string(death_signal));
}

void tell_limits() {
    struct rlimit descriptors {};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    std::array<char, 16> score{};
    const int fd = ::open("/proc/self/oom_score_adj", O_RDONLY);
    const ssize_t n = ::read(fd, score.data(), score.size() - 1);
    ::close(fd);
    say("nice=" + std::to_string(::getpriority(PRIO_PROCESS, 0)));
    say("oom_score_adj=" + std::string(score.data(), n > 0 ? static_cast<std::size_t>(n) - 1 : 0));
    say("descriptors=" + std::to_string(descriptors.rlim_cur));
}

/// Takes memory and never gives it back.
void eat(int mib) {
    const std::size_t size = static_cast<std::size_t>(mib) << 20U;
    void* memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        std::memset(memory, 1, size);
    }
    say("eaten");
}

void listen_somewhere() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd, generic, size) == 0 && ::listen(fd, 1) == 0 &&
        ::getsockname(fd, generic, &size) == 0) {
        say("port=" + std::to_string(::ntohs(address.sin_port)));
    }
}

void* second_thread(void*) {
    pause_for_ever();
}

[[noreturn]] void leave_thread_behind() {
    pthread_t thread{};
    ::pthread_create(&thread, nullptr, second_thread, nullptr);
    ::pthread_exit(nullptr);
}

void end_slowly(int) {
    ::poll(nullptr, 0, 100);
    say("all in order");
    ::_exit(0);
}

[[noreturn]] void hop_for_ever() {
    while (true) {
        const pid_t pid = ::fork();
        if (pid > 0) {
            ::_exit(0);
        }
        if (pid == 0) {
            ::setsid();
        }
    }
}

int number_of(std::string_view word) {
    return std::atoi(std::string(word.substr(word.find('=') + 1)).c_str());
}

void run(int count, char** words);

void do_word(std::string_view word, int count, char** rest) {
    const auto is = [&](std::string_view name) { return word.starts_with(name); };
    if (is("exit=")) {
        ::_exit(number_of(word));
    } else if (is("raise=")) {
        ::raise(number_of(word));
    } else if (is("print=")) {
        say(std::string(word.substr(6)));
    } else if (is("report")) {
        say("pid=" + std::to_string(::getpid()));
    } else if (is("fds")) {
        list_files();
    } else if (is("state")) {
        tell_state();
    } else if (is("limits")) {
        tell_limits();
    } else if (is("listen")) {
        listen_somewhere();
    } else if (is("eat=")) {
        eat(number_of(word));
    } else if (is("env")) {
        for (char** entry = environ; *entry != nullptr; ++entry) {
            say(*entry);
        }
    } else if (is("pause")) {
        pause_for_ever();
    } else if (is("ignore-term")) {
        ::signal(SIGTERM, SIG_IGN);
        ::signal(SIGHUP, SIG_IGN);
    } else if (is("setsid")) {
        ::setsid();
    } else if (is("setpgid")) {
        ::setpgid(0, 0);
    } else if (is("close-output")) {
        ::close(1);
        ::close(2);
    } else if (is("flood=")) {
        write_many(static_cast<std::size_t>(number_of(word)), "a line of a flood of lines\n");
    } else if (is("endless=")) {
        write_many(static_cast<std::size_t>(number_of(word)), "no end ");
    } else if (is("thread-exit")) {
        leave_thread_behind();
    } else if (is("linger")) {
        ::signal(SIGTERM, end_slowly);
    } else if (is("hop")) {
        hop_for_ever();
    } else if (is("clear-env")) {
        std::string self = "/proc/self/exe";
        char* const none[] = {nullptr};
        std::array<char*, 64> argv{self.data()};
        for (int i = 0; i < count && i < 62; ++i) {
            argv[static_cast<std::size_t>(i) + 1] = rest[i];
        }
        ::execve(self.c_str(), argv.data(), none);
        ::_exit(126);
    } else {
        say("unknown word " + std::string(word));
        ::_exit(125);
    }
}

void run(int count, char** words) {
    for (int at = 0; at < count; ++at) {
        const std::string_view word(words[at]);
        if (!word.starts_with("spawn=")) {
            do_word(word, count - at - 1, words + at + 1);
            continue;
        }
        const int length = number_of(word);
        if (::fork() == 0) {
            run(length, words + at + 1);
            ::_exit(0);
        }
        at += length;
    }
}

}  // namespace

int main(int argc, char** argv) {
    run(argc - 1, argv + 1);
    return 0;
}
