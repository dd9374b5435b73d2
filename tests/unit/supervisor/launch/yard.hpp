#pragma once
// What the tests of the launcher share: a loop, a launcher on it, and waiting with a deadline.

#include "supervisor/launch/launcher.hpp"
#include "supervisor/launch/process_tree.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <functional>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <vector>

namespace corral::test {

using Seconds = std::chrono::seconds;

inline bool alive(pid_t pid) {
    const auto info = read_process(pid);
    return info && !info->ended();
}

/// Numbers that follow `key` in a text, in order.
inline std::vector<int> numbers_after(const std::string& text, const std::string& key) {
    std::vector<int> out;
    for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
        out.push_back(std::atoi(text.c_str() + at + key.size()));
    }
    return out;
}

inline int open_descriptors() {
    int count = 0;
    DIR* directory = ::opendir("/proc/self/fd");
    while (::readdir(directory) != nullptr) {
        ++count;
    }
    ::closedir(directory);
    return count;
}

/// Calls `step` until `done` holds or 20 seconds have passed; what `done` says at the end.
inline bool poll_until(const std::function<bool()>& done, const std::function<void()>& step) {
    const auto deadline = std::chrono::steady_clock::now() + Seconds(20);
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        step();
    }
    return true;
}

class Yard {
public:
    boost::asio::io_context loop;
    std::unique_ptr<Launcher> launcher = make_os_launcher(loop.get_executor());

    /// Runs launch_child with these words.
    std::unique_ptr<Child> start(std::vector<std::string> words,
                                 std::vector<std::string> env = {}) {
        return start(std::move(words), std::move(env), {});
    }
    std::unique_ptr<Child> start(std::vector<std::string> words, std::vector<std::string> env,
                                 ModelLimits limits) {
        words.insert(words.begin(), CORRAL_LAUNCH_CHILD);
        auto child = launcher->launch({"test", std::move(words), std::move(env), limits});
        REQUIRE_MESSAGE(child.has_value(), (child ? "" : child.error().detail));
        return std::move(*child);
    }

    bool until(const std::function<bool()>& done) {
        return poll_until(done, [this] {
            loop.restart();
            if (loop.run_for(std::chrono::milliseconds(2)) == 0) {
                ::poll(nullptr, 0, 1);
            }
        });
    }

    /// Waits for the end of the child and its tree.
    ExitStatus wait(Child& child) {
        std::optional<ExitStatus> status;
        boost::asio::co_spawn(loop, child.wait_exit(),
                              [&status](std::exception_ptr error, ExitStatus value) {
                                  if (!error) {
                                      status = value;
                                  }
                              });
        REQUIRE(until([&] { return status.has_value(); }));
        return *status;
    }

    /// Waits until the child has reported this many pids and gives them.
    std::vector<int> pids(Child& child, std::size_t count) {
        std::vector<int> out;
        REQUIRE(until([&] {
            out = numbers_after(child.last_lines(100), "pid=");
            return out.size() >= count;
        }));
        return out;
    }
};

}  // namespace corral::test
