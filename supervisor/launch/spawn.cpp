// Fork and exec through Boost.Process v2, the only file that includes it. What v2 leaves out, up to
// 1.85 at least, is done by ChildSetup: it closes no descriptors of the parent, leaves the zombie
// of a failed exec, and runs the parent's atexit handlers in the child that failed.

#include "supervisor/launch/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/process/v2/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace corral {
namespace {

namespace process = boost::process::v2;
using boost::system::error_code;

/// From <linux/close_range.h>, which older kernel headers lack.
constexpr unsigned close_range_cloexec = 1U << 2;

/// Blocks every signal while the process forks: until the child has put its handlers back, a signal
/// to it would run Asio's handler and so appear in the parent.
class BlockSignals {
public:
    BlockSignals() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    BlockSignals(const BlockSignals&) = delete;
    BlockSignals& operator=(const BlockSignals&) = delete;

private:
    sigset_t before_{};
};

/// A Boost.Process initializer. What it needs is made before the fork; between fork and exec it
/// makes system calls only, no allocation, no lock, no log.
class ChildSetup {
public:
    ChildSetup(const char* const* argv, const char* const* environment,
               const SpawnRequest& request) noexcept
        : argv_(argv),
          environment_(environment),
          parent_(::getpid()),
          cgroup_procs_(request.cgroup_procs),
          nice_(request.nice) {
        if (::getrlimit(RLIMIT_NOFILE, &descriptors_) == 0 &&
            descriptors_.rlim_cur != RLIM_INFINITY) {
            descriptors_max_ = static_cast<int>(descriptors_.rlim_cur);
        }
        if (request.descriptors) {
            descriptors_.rlim_cur = std::min<rlim_t>(*request.descriptors, descriptors_.rlim_max);
        }
        if (request.oom_score_adj) {
            const auto end =
                std::to_chars(oom_score_adj_.begin(), oom_score_adj_.end(), *request.oom_score_adj);
            oom_score_adj_size_ = static_cast<std::size_t>(end.ptr - oom_score_adj_.data());
        }
    }

    template <class Launcher, class File>
    error_code on_setup(Launcher& launcher, const File&, const char* const*& command_line) {
        launcher.env = environment_;
        command_line = argv_;  // argv[0] as the user wrote it, not the file that was found
        return {};
    }

    template <class Launcher, class File>
    error_code on_exec_setup(Launcher&, const File&, const char* const*&) const noexcept {
        if (::setsid() < 0) {
            return {errno, boost::system::system_category()};
        }
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent_) {
            ::_exit(127);  // the parent died before the line above
        }
        for (int number = 1; number < NSIG; ++number) {
            ::signal(number,
                     SIG_DFL);  // exec keeps what is ignored; fails for SIGKILL and the like
        }
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        take_limits();
        // Close-on-exec, not closed: Boost reports a failed exec through a pipe of its own.
        if (::syscall(SYS_close_range, 3U, ~0U, close_range_cloexec) != 0) {
            for (int fd = 3; fd < descriptors_max_; ++fd) {
                ::fcntl(fd, F_SETFD, FD_CLOEXEC);
            }
        }
        return {};
    }

    /// Comes after the error was written to the pipe and before Boost calls exit(), which would run
    /// the parent's atexit handlers and flush its stdio once more. Takes whatever is given: Boost
    /// 1.81 looks for one signature and calls another.
    template <class... Any>
    void on_exec_error(Any&&...) const noexcept {
        ::_exit(127);
    }

private:
    /// What is refused is seen by the parent.
    void take_limits() const noexcept {
        if (cgroup_procs_ >= 0) {
            [[maybe_unused]] const auto joined = ::write(cgroup_procs_, "0", 1);
        }
        if (nice_) {
            ::setpriority(PRIO_PROCESS, 0, *nice_);
        }
        if (oom_score_adj_size_ != 0) {
            const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
            [[maybe_unused]] const auto set =
                ::write(fd, oom_score_adj_.data(), oom_score_adj_size_);
        }
        ::setrlimit(RLIMIT_NOFILE, &descriptors_);
    }

    const char* const* argv_;
    const char* const* environment_;
    pid_t parent_;
    int cgroup_procs_;
    std::optional<int> nice_;
    std::array<char, 8> oom_score_adj_{};
    std::size_t oom_score_adj_size_ = 0;
    struct rlimit descriptors_ {};
    int descriptors_max_ = 65536;
};

std::vector<const char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<const char*> out;
    out.reserve(words.size() + 1);
    for (const auto& word : words) {
        out.push_back(word.c_str());
    }
    out.push_back(nullptr);
    return out;
}

/// The errno to report: never 0 for a failure.
int errno_of(const error_code& error) noexcept {
    return error.value() != 0 ? error.value() : EIO;
}

}  // namespace

SpawnResult spawn_process(const SpawnRequest& request) {
    const auto argv = pointers_to(request.argv);
    const auto environment = pointers_to(request.environment);
    ChildSetup setup(argv.data(), environment.data(), request);
    // A loop of its own, never run: Boost tells the executor's context about the fork, and the main
    // loop's would join its resolver thread and rebuild its epoll set in the child for nothing.
    boost::asio::io_context unused(1);
    process::default_process_launcher launcher;
    process::process_stdio stdio{nullptr, request.output, request.output};
    const std::vector<std::string> no_arguments;  // ChildSetup gives argv
    error_code error;
    try {
        const BlockSignals blocked;
        auto made =
            launcher(unused.get_executor(), error, request.file, no_arguments, stdio, setup);
        made.detach();  // the process table waits for it
    } catch (const boost::system::system_error& thrown) {
        // Without pidfd_open (a seccomp filter) Boost throws after exec has succeeded: no failure.
        if (launcher.pid <= 0) {
            error = thrown.code();
        }
    }
    if (!error) {
        return {launcher.pid, 0};
    }
    if (launcher.pid > 0) {
        // Left a zombie before Boost 1.88; afterwards this finds nobody.
        while (::waitpid(launcher.pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    return {-1, errno_of(error)};
}

}  // namespace corral
