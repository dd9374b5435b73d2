// The launcher with real small processes: what they inherit, how they end, what is left of them.

#include "yard.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace corral;
using namespace corral::test;

TEST_CASE("an exit code and a signal of the same number stay apart") {
    Yard yard;
    for (const int number : {0, 3, 15, 255}) {
        auto child = yard.start({"exit=" + std::to_string(number)});
        CHECK(yard.wait(*child) == ExitStatus{false, number});
    }
    for (const int number : {SIGTERM, SIGSEGV, SIGPIPE}) {
        auto child = yard.start({"raise=" + std::to_string(number)});
        CHECK(yard.wait(*child) == ExitStatus{true, number});
    }
}

TEST_CASE("a child has descriptors 0 to 2 only: /dev/null and the pipe") {
    Yard yard;
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);  // not close-on-exec, as Asio's
    const int high = ::fcntl(listener, F_DUPFD, 500);
    auto child = yard.start({"fds"});
    yard.wait(*child);
    const auto text = child->last_lines(100);
    CHECK(numbers_after(text, "fd=") == std::vector<int>{0, 1, 2});
    CHECK(text.find("fd=0 /dev/null") != std::string::npos);
    CHECK(text.find("fd=1 pipe:") != std::string::npos);
    ::close(listener);
    ::close(high);
}

TEST_CASE("a child leads its session and group, has no signal blocked or ignored, dies with us") {
    Yard yard;
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    auto* const old = ::signal(SIGPIPE, SIG_IGN);
    auto child = yard.start({"state"});
    ::signal(SIGPIPE, old);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    yard.wait(*child);
    CHECK(child->last_lines(9) == "leader=1\nunusual_signals=0\ndeath_signal=9");
}

TEST_CASE("a child's environment is ours without what is ours alone, and what the model adds") {
    Yard yard;
    for (const char* name : {"NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC", "CORRAL_SECRET"}) {
        ::setenv(name, "leaked", 1);
    }
    ::setenv("LAUNCH_TEST", "inherited", 1);
    auto child = yard.start({"env"}, {"ADDED=1=2", "HOME=/elsewhere", "CORRAL_BY_USER=kept"});
    for (const char* name :
         {"NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC", "CORRAL_SECRET", "LAUNCH_TEST"}) {
        ::unsetenv(name);
    }
    yard.wait(*child);
    const auto text = '\n' + child->last_lines(1000) + '\n';
    CHECK(text.find("leaked") == std::string::npos);
    for (const char* line :
         {"LAUNCH_TEST=inherited", "ADDED=1=2", "HOME=/elsewhere", "CORRAL_BY_USER=kept"}) {
        CHECK_MESSAGE(text.find('\n' + std::string(line) + '\n') != std::string::npos, line);
    }
    CHECK(numbers_after(text, "\nHOME=").size() == 1);
    CHECK(numbers_after(text, "\nCORRAL_MODEL_RUN=").size() == 1);
}

TEST_CASE("a program is searched on the PATH of the child, and argv[0] stays as it was written") {
    Yard yard;
    auto child = yard.launcher->launch({"test", {"sh", "-c", "echo \"zero=$0\""}, {}});
    REQUIRE(child);
    yard.wait(**child);
    CHECK((*child)->last_lines(1) == "zero=sh");
    auto hidden = yard.launcher->launch({"test", {"sh", "-c", "true"}, {"PATH=/nowhere:/proc"}});
    CHECK(!hidden);
}

namespace {

int atexit_runs_fd = -1;

void tell_atexit() {
    if (atexit_runs_fd >= 0) {
        [[maybe_unused]] const auto n = ::write(atexit_runs_fd, "x", 1);
    }
}

}  // namespace

TEST_CASE("a failed exec is an error that says why, leaves no zombie and runs no atexit handler") {
    Yard yard;
    const auto children_before = children_of(::getpid());
    int ends[2];
    REQUIRE(::pipe2(ends, O_NONBLOCK) == 0);
    atexit_runs_fd = ends[1];
    REQUIRE(std::atexit(tell_atexit) == 0);
    char script[] = "/tmp/corral-launch-XXXXXX";
    const int script_fd = ::mkstemp(script);
    const std::string no_interpreter = "#!/no/such/interpreter\n";
    REQUIRE(::write(script_fd, no_interpreter.data(), no_interpreter.size()) > 0);
    struct Case {
        std::string program;
        std::string reason;
    };
    const auto expect = [&](const Case& wanted) {
        auto child = yard.launcher->launch({"test", {wanted.program, "--secret"}, {}});
        REQUIRE(!child);
        const auto& error = child.error();
        CHECK(error.is(Errc::start_failed));
        CHECK_MESSAGE(error.detail.find(wanted.reason) != std::string::npos, error.detail);
        CHECK(error.detail.find("secret") == std::string::npos);
        CHECK(error.detail.find(wanted.program) != std::string::npos);
    };
    expect({"no-such-program-anywhere", "not on PATH"});
    expect({"/no/such/file", "No such file or directory"});
    expect({"/tmp", "Is a directory"});
    expect({script, "chmod +x"});
    ::fchmod(script_fd, 0700);
    ::close(script_fd);
    expect({script, "interpreter"});  // found and executable: exec itself fails, in the child
    CHECK(children_of(::getpid()) == children_before);
    char byte = 0;
    CHECK(::read(ends[0], &byte, 1) == -1);
    atexit_runs_fd = -1;
    ::unlink(script);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("words that execve could not carry are refused, not cut") {
    Yard yard;
    CHECK(!yard.launcher->launch({"test", {}, {}}));
    CHECK(!yard.launcher->launch({"test", {""}, {}}));
    CHECK(!yard.launcher->launch({"test", {"true", std::string("a\0b", 3)}, {}}));
}

TEST_CASE("a flood of output does not stop the child, and its last lines are there at the end") {
    Yard yard;
    auto child = yard.start({"flood=50000000", "print=the end", "exit=7"});
    CHECK(yard.wait(*child) == ExitStatus{false, 7});
    CHECK(child->last_lines(2) == "a line of a flood of lines\nthe end");
}

TEST_CASE("a line without an end does not stop the child, and is shown cut") {
    Yard yard;
    auto child = yard.start({"endless=20000000", "exit=0"});
    CHECK(yard.wait(*child) == ExitStatus{false, 0});
    CHECK(child->last_lines(5).size() > 500);
    CHECK(child->last_lines(5).size() <= 512);
}

TEST_CASE("one child's flood does not keep others from being served") {
    Yard yard;
    auto flood = yard.start({"flood=2000000000"});
    auto other = yard.start({"print=hello", "exit=1"});
    CHECK(yard.wait(*other) == ExitStatus{false, 1});
    CHECK(alive(flood->pid()));
    flood->kill();
    CHECK(yard.wait(*flood) == ExitStatus{true, SIGKILL});
}

TEST_CASE("a child that closes its output lives on and can be ended") {
    Yard yard;
    auto child = yard.start({"report", "close-output", "pause"});
    const auto pid = yard.pids(*child, 1).at(0);
    CHECK(pid == child->pid());
    child->terminate();
    CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
}

TEST_CASE("a grandchild that outlives the main process and holds its pipe is gone after the wait") {
    Yard yard;
    auto child = yard.start({"spawn=3", "ignore-term", "report", "pause", "spawn=3", "setpgid",
                             "report", "pause", "exit=4"});
    CHECK(yard.wait(*child) == ExitStatus{false, 4});
    for (const int pid : numbers_after(child->last_lines(9), "pid=")) {
        CHECK(!alive(pid));
    }
}

TEST_CASE("a child that ignores SIGTERM ends by kill") {
    Yard yard;
    auto child = yard.start({"ignore-term", "report", "pause"});
    yard.pids(*child, 1);
    child->terminate();
    child->kill();
    CHECK(yard.wait(*child) == ExitStatus{true, SIGKILL});
}

TEST_CASE(
    "after SIGTERM a wrapper's program may put its things in order though the wrapper is dead") {
    Yard yard;
    auto child = yard.start({"spawn=3", "linger", "report", "pause", "spawn=4", "setsid",
                             "ignore-term", "report", "pause", "report", "pause"});
    const auto pids = yard.pids(*child, 3);
    child->terminate();
    CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
    CHECK(child->last_lines(1) == "all in order");
    for (const int pid : pids) {
        CHECK(!alive(pid));
    }
}

TEST_CASE("SIGTERM reaches who has left the group, and he may put his things in order, too") {
    Yard yard;
    for (const char* way : {"setsid", "setpgid"}) {
        auto child = yard.start({"spawn=4", way, "linger", "report", "pause", "report", "pause"});
        const auto pids = yard.pids(*child, 2);
        child->terminate();
        CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
        CHECK(child->last_lines(1) == "all in order");
        for (const int pid : pids) {
            CHECK(!alive(pid));
        }
    }
}

TEST_CASE("who ignores the SIGTERM that ended the main process is killed, with or without kill()") {
    Yard yard;
    for (const bool patient : {true, false}) {
        auto child = yard.start({"spawn=3", "ignore-term", "report", "pause", "report", "pause"});
        const auto pids = yard.pids(*child, 2);
        child->terminate();
        if (!patient) {
            child->kill();
        }
        yard.wait(*child);
        for (const int pid : pids) {
            CHECK(!alive(pid));
        }
    }
}

TEST_CASE("a stopped child can be terminated") {
    Yard yard;
    auto child = yard.start({"report", "pause"});
    yard.pids(*child, 1);
    ::kill(child->pid(), SIGSTOP);
    child->terminate();
    CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
}

TEST_CASE("kill reaches who called setsid, who forked twice, and who cleared its environment") {
    Yard yard;
    auto child = yard.start({
        "spawn=4",
        "setsid",
        "ignore-term",
        "report",
        "pause",  // another session
        "spawn=5",
        "spawn=4",
        "setsid",
        "ignore-term",
        "report",
        "pause",  // ours by
                  // adoption
        "spawn=6",
        "setsid",
        "spawn=4",
        "ignore-term",
        "clear-env",
        "report",
        "pause",
        "report",
        "pause",
    });
    const auto pids = yard.pids(*child, 4);
    child->kill();
    CHECK(yard.wait(*child) == ExitStatus{true, SIGKILL});
    for (const int pid : pids) {
        CHECK(!alive(pid));
        CHECK(!read_process(pid));  // reaped, not only dead
    }
}

TEST_CASE("what escaped from a main process that ended by itself is found and killed, too") {
    Yard yard;
    auto child =
        yard.start({"spawn=5", "setsid", "spawn=3", "clear-env", "report", "pause", "spawn=5",
                    "spawn=4", "setsid", "ignore-term", "report", "pause", "report", "pause"});
    const auto pids = yard.pids(*child, 3);
    ::kill(child->pid(), SIGTERM);
    CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
    for (const int pid : pids) {
        CHECK(!alive(pid));
    }
}

TEST_CASE(
    "processes that fork and end faster than they can be listed are all gone after the wait") {
    Yard yard;
    const auto children_before = children_of(::getpid());
    for (const bool killed : {true, false}) {
        auto child = yard.start({"spawn=1", "hop", "spawn=1", "hop", "spawn=1", "hop", "report",
                                 killed ? "pause" : "exit=0"});
        if (killed) {
            yard.pids(*child, 1);
            child->kill();
        }
        yard.wait(*child);
        CHECK(children_of(::getpid()) == children_before);
    }
}

TEST_CASE("the end of one child harms no other, and none of the other's strays") {
    Yard yard;
    auto other = yard.start(
        {"spawn=5", "spawn=4", "setsid", "ignore-term", "report", "pause", "report", "pause"});
    const auto others = yard.pids(*other, 2);
    auto child = yard.start({"exit=0"});
    yard.wait(*child);
    for (const int pid : others) {
        CHECK(alive(pid));
    }
    other->kill();
    yard.wait(*other);
    for (const int pid : others) {
        CHECK(!alive(pid));
    }
}

TEST_CASE("who cleared its environment among several launches ends at the latest with the last") {
    Yard yard;
    auto first = yard.start(
        {"spawn=5", "setsid", "spawn=3", "clear-env", "report", "pause", "report", "pause"});
    const auto pids = yard.pids(*first, 2);
    auto second = yard.start({"report", "pause"});
    yard.pids(*second, 1);
    first->kill();
    yard.wait(*first);
    CHECK(alive(second->pid()));
    second->kill();
    yard.wait(*second);
    for (const int pid : pids) {
        CHECK(!alive(pid));
    }
}

TEST_CASE("a process whose first thread has ended is no zombie: it is killed with its tree") {
    Yard yard;
    auto child = yard.start({"spawn=3", "setsid", "report", "thread-exit", "report", "exit=0"});
    CHECK(yard.wait(*child) == ExitStatus{false, 0});
    for (const int pid : numbers_after(child->last_lines(9), "pid=")) {
        CHECK(!read_process(pid));
    }
}

TEST_CASE("a process that something else in this program started keeps its status") {
    Yard yard;
    pid_t foreign = 0;
    std::string program = CORRAL_LAUNCH_CHILD;
    std::string word = "exit=9";
    char* argv[] = {program.data(), word.data(), nullptr};
    REQUIRE(::posix_spawn(&foreign, program.c_str(), nullptr, nullptr, argv, environ) == 0);
    auto child = yard.start({"exit=0"});
    yard.wait(*child);
    int status = 0;
    CHECK(::waitpid(foreign, &status, 0) == foreign);
    CHECK(WEXITSTATUS(status) == 9);
}

TEST_CASE("destroying a Child kills its tree and leaves nothing to reap") {
    Yard yard;
    auto child = yard.start(
        {"spawn=4", "setsid", "ignore-term", "report", "pause", "ignore-term", "report", "pause"});
    const auto pids = yard.pids(*child, 2);
    child.reset();
    for (const int pid : pids) {
        CHECK(yard.until([&] { return !read_process(pid); }));
    }
}

TEST_CASE("destroying the launcher kills what is left and ends who waits") {
    Yard yard;
    auto child = yard.start({"ignore-term", "report", "pause"});
    const int pid = yard.pids(*child, 1).at(0);
    bool failed = false;
    boost::asio::co_spawn(yard.loop, child->wait_exit(),
                          [&](std::exception_ptr error, ExitStatus) { failed = error != nullptr; });
    yard.loop.poll();
    child.reset();
    yard.launcher.reset();
    CHECK(yard.until([&] { return failed; }));
    int status = 0;
    CHECK(::waitpid(pid, &status, 0) == pid);
    CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("wait_exit can be cancelled and called again") {
    Yard yard;
    auto child = yard.start({"report", "pause"});
    boost::asio::cancellation_signal cancel;
    bool cancelled = false;
    boost::asio::co_spawn(yard.loop, child->wait_exit(),
                          boost::asio::bind_cancellation_slot(
                              cancel.slot(), [&](std::exception_ptr error, ExitStatus) {
                                  cancelled = error != nullptr;
                              }));
    yard.pids(*child, 1);
    CHECK(!cancelled);
    cancel.emit(boost::asio::cancellation_type::terminal);
    CHECK(yard.until([&] { return cancelled; }));
    CHECK(alive(child->pid()));
    child->terminate();
    CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
    CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
}

TEST_CASE("a loop with no child left to watch has nothing to do and ends") {
    Yard yard;
    auto child = yard.start({"exit=0"});
    yard.wait(*child);
    yard.loop.restart();
    yard.loop.run_for(Seconds(20));
    CHECK(yard.loop.stopped());
}

TEST_CASE("200 launches leak neither a descriptor nor a process") {
    Yard yard;
    {
        auto warm_up = yard.start({"exit=0"});
        yard.wait(*warm_up);
    }
    const int before = open_descriptors();
    const auto children_before = children_of(::getpid());
    for (int i = 0; i < 200; ++i) {
        auto child = yard.start({"print=hello", "exit=" + std::to_string(i % 3)});
        CHECK(yard.wait(*child) == ExitStatus{false, i % 3});
        CHECK(!yard.launcher->launch({"test", {"/no/such/program"}, {}}));
    }
    yard.until([&] { return open_descriptors() == before; });
    CHECK(open_descriptors() == before);
    CHECK(children_of(::getpid()) == children_before);
}
