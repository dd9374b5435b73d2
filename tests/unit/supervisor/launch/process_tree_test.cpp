// Reading /proc/PID/stat, and signals that cannot hit the wrong process.

#include "supervisor/launch/process_tree.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

using namespace corral;

namespace {

const std::string tail =
    " 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 123456 8192 1 18446744073709551615";

}  // namespace

TEST_CASE("a process name cannot pretend to be the fields behind it") {
    for (const std::string name : {"cat", "a) Z 1 1 1", "((", "x\ny", ") R 9 9 9 0 0 0"}) {
        const auto info = parse_process_stat("77 (" + name + ") S 1 70 60" + tail);
        REQUIRE_MESSAGE(info, name);
        CHECK(info->pid == 77);
        CHECK(info->state == 'S');
        CHECK(info->parent == 1);
        CHECK(info->group == 70);
        CHECK(info->session == 60);
        CHECK(info->threads == 9);
        CHECK(info->start_ticks == 123456);
    }
}

TEST_CASE("a text that is cut anywhere before the start time is no process") {
    const std::string text = "77 (cat) S 1 70 60" + tail;
    const auto start = text.find("123456");
    for (std::size_t length = 0; length <= start; ++length) {
        CHECK(!parse_process_stat(text.substr(0, length)));
    }
}

TEST_CASE("this process is read as it is, and its child as its child") {
    const auto self = read_process(::getpid());
    REQUIRE(self);
    CHECK(self->parent == ::getppid());
    CHECK(self->session == ::getsid(0));
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto children = children_of(::getpid());
    CHECK(std::count(children.begin(), children.end(), child) == 1);
    auto info = read_process(child).value_or(ProcessInfo{});
    auto other = info;
    other.start_ticks += 1;  // as if the pid had been given to somebody else
    CHECK(!signal_process(other, SIGKILL));
    CHECK(signal_process(info, SIGKILL));
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WTERMSIG(status) == SIGKILL);
    CHECK(!signal_process(info, SIGKILL));
    CHECK(!read_process(child));
}

TEST_CASE("descendants are the same whether the kernel lists children or not") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const pid_t grandchild = ::fork();
        if (grandchild == 0) {
            ::setsid();
            ::pause();
            ::_exit(0);
        }
        [[maybe_unused]] const auto n = ::write(ends[1], &grandchild, sizeof grandchild);
        ::pause();
        ::_exit(0);
    }
    pid_t grandchild = 0;
    REQUIRE(::read(ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    const auto pids = [](const std::vector<ProcessInfo>& processes) {
        std::set<pid_t> out;
        for (const auto& info : processes) {
            out.insert(info.pid);
        }
        return out;
    };
    const std::set<pid_t> expected{child, grandchild};
    CHECK(pids(descendants_of(::getpid())) == expected);
    CHECK(pids(descendants_by_parent(::getpid())) == expected);
    CHECK(pids(descendants_by_parent(child)) == std::set<pid_t>{grandchild});
    ::kill(grandchild, SIGKILL);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ends[0]);
    ::close(ends[1]);
    // The grandchild is ours to reap when an earlier test made this process a subreaper.
    while (read_process(grandchild).value_or(ProcessInfo{}).parent == ::getpid() &&
           ::waitpid(grandchild, nullptr, 0) < 0 && errno == EINTR) {
    }
}
