// The guard and the server as two real processes: whichever dies, nothing is left below them.

#include "yard.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace corral;
using namespace corral::test;

namespace {

/// launch_guarded, with its output read while it runs.
class Guarded {
public:
    explicit Guarded(std::vector<std::string> words, std::vector<std::string> env = {}) {
        words.insert(words.begin(), CORRAL_LAUNCH_GUARDED);
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        output_ = ends[0];
        ::fcntl(output_, F_SETFL, O_NONBLOCK);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        auto argv = pointers(words);
        for (char** entry = environ; *entry != nullptr; ++entry) {
            env.emplace_back(*entry);
        }
        auto environment = pointers(env);
        REQUIRE(::posix_spawn(&pid, words[0].c_str(), &actions, nullptr, argv.data(),
                              environment.data()) == 0);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
    }
    ~Guarded() {
        if (!reaped_) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
        ::close(output_);
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    bool until(const std::function<bool()>& done) {
        return poll_until(done, [this] {
            std::array<char, 4096> chunk{};
            pollfd wait{output_, POLLIN, 0};
            ::poll(ended_ ? nullptr : &wait, ended_ ? 0 : 1, 1);
            const ssize_t n = ::read(output_, chunk.data(), chunk.size());
            ended_ = ended_ || n == 0;
            text.append(chunk.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
        });
    }
    bool says(const std::string& words) {
        return until([&] { return text.find(words) != std::string::npos; });
    }
    /// Waits for the server and `count` processes below it to say who they are.
    std::vector<int> pids(std::size_t count) {
        REQUIRE(says("server="));
        REQUIRE(until([&] { return numbers_after(text, "pid=").size() >= count; }));
        return numbers_after(text, "pid=");
    }
    int server() { return says("server=") ? numbers_after(text, "server=").at(0) : -1; }

    /// The wait status of the guard.
    int wait() {
        int status = -1;
        REQUIRE(until([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }));
        reaped_ = true;
        until([&] { return ended_; });
        return status;
    }

    pid_t pid = 0;
    std::string text;

private:
    static std::vector<char*> pointers(std::vector<std::string>& words) {
        std::vector<char*> out;
        for (auto& word : words) {
            out.push_back(word.data());
        }
        out.push_back(nullptr);
        return out;
    }

    int output_ = -1;
    bool ended_ = false;
    bool reaped_ = false;
};

/// A SIGTERM-ignorer with a grandchild, a setsid escapee and a double-forked one without
/// environment.
const std::vector<std::string> family{
    "serve",       "spawn=3", "ignore-term", "report",      "pause",  "spawn=4", "setsid",
    "ignore-term", "report",  "pause",       "spawn=6",     "setsid", "spawn=4", "ignore-term",
    "clear-env",   "report",  "pause",       "ignore-term", "report", "pause"};
constexpr std::size_t family_size = 4;

}  // namespace

TEST_CASE("the guard passes on the server's exit status, and buffered output appears once") {
    Guarded guarded({"exit", "5"});
    const int status = guarded.wait();
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 5);
    CHECK(numbers_after(guarded.text, "before the fork").size() == 1);
}

TEST_CASE("a server that a signal ended gives 128 and the signal's number") {
    for (const int number : {SIGKILL, SIGABRT, SIGTERM}) {
        Guarded guarded({"raise", std::to_string(number)});
        const int status = guarded.wait();
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 128 + number);
    }
}

TEST_CASE("the guard forwards every signal that a server understands, once") {
    Guarded guarded({"serve", "pause"});
    guarded.server();
    for (const int number : {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
        ::kill(guarded.pid, number);
        const auto line = "got " + std::to_string(number) + "\n";
        CHECK(guarded.says(line));
    }
    ::kill(guarded.pid, SIGTERM);
    CHECK(WEXITSTATUS(guarded.wait()) == 42);
    CHECK(numbers_after(guarded.text, "got ").size() == 6);
}

TEST_CASE("SIGKILL of the server leaves none of its descendants when the guard has returned") {
    Guarded guarded(family);
    const auto pids = guarded.pids(family_size);
    ::kill(guarded.server(), SIGKILL);
    CHECK(WEXITSTATUS(guarded.wait()) == 128 + SIGKILL);
    for (const int pid : pids) {
        CHECK(!read_process(pid));
    }
}

TEST_CASE("a server that ends by itself leaves none of its descendants either") {
    Guarded guarded(family);
    const auto pids = guarded.pids(family_size);
    ::kill(guarded.pid, SIGTERM);
    CHECK(WEXITSTATUS(guarded.wait()) == 42);
    for (const int pid : pids) {
        CHECK(!read_process(pid));
    }
}

TEST_CASE("the server sees the death of the guard, and its last act leaves no descendant") {
    Guarded guarded(family);
    const auto pids = guarded.pids(family_size);
    const int server = guarded.server();
    ::kill(guarded.pid, SIGKILL);
    CHECK(WTERMSIG(guarded.wait()) == SIGKILL);
    CHECK(guarded.says("guard gone"));
    CHECK(guarded.until([&] { return !alive(server); }));
    ::waitpid(server, nullptr, WNOHANG);  // ours if an earlier test made this process a subreaper
    for (const int pid : pids) {
        CHECK(!alive(pid));
    }
}

TEST_CASE("the server has a group of its own, so that Ctrl-C reaches it only through the guard") {
    Guarded guarded({"serve", "pause"}, {"WATCHDOG_USEC=1000000", "WATCHDOG_PID=1"});
    guarded.server();
    CHECK(guarded.says("leader=1"));
    CHECK(guarded.says("watchdog=1"));  // systemd's watchdog is addressed to the server
    ::kill(guarded.pid, SIGTERM);
    guarded.wait();
}

TEST_CASE("Ctrl-Z stops the server with the guard, and both go on together") {
    Guarded guarded({"serve", "pause"});
    const int server = guarded.server();
    const auto state = [](int pid) { return read_process(pid).value_or(ProcessInfo{}).state; };
    ::kill(guarded.pid, SIGTSTP);
    CHECK(guarded.until([&] { return state(guarded.pid) == 'T' && state(server) == 'T'; }));
    ::kill(guarded.pid, SIGCONT);
    ::kill(guarded.pid, SIGTERM);
    CHECK(WEXITSTATUS(guarded.wait()) == 42);
}

TEST_CASE("the guard holds the standard streams and its pipe, and no other descriptor") {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);  // as passed on by systemd
    Guarded guarded({"serve", "pause"});
    guarded.server();
    int count = 0;
    CHECK(guarded.until([&] {
        count = 0;
        DIR* directory = ::opendir(("/proc/" + std::to_string(guarded.pid) + "/fd").c_str());
        while (const dirent* entry = ::readdir(directory)) {
            count += entry->d_name[0] != '.';
        }
        ::closedir(directory);
        return count == 4;
    }));
    std::ifstream file("/proc/" + std::to_string(guarded.pid) + "/status");
    std::stringstream status;
    status << file.rdbuf();
    MESSAGE("guard RssAnon kB: " << numbers_after(status.str(), "RssAnon:").at(0));
    ::kill(guarded.pid, SIGTERM);
    guarded.wait();
    ::close(listener);
}
