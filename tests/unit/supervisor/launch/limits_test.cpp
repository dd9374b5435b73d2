// What a launch may take, with real small processes: memory, priority, the kernel's favour.

#include "supervisor/launch/memory_use.hpp"
#include "supervisor/launch/memory_watch.hpp"
#include "yard.hpp"

#include <csignal>
#include <sys/resource.h>

using namespace corral;
using namespace corral::test;

namespace {

constexpr std::uint64_t mib = 1ULL << 20U;

ModelLimits memory_limit(std::uint64_t bytes) {
    ModelLimits limits;
    limits.memory = bytes;
    return limits;
}

}  // namespace

TEST_CASE("a SIGKILL from elsewhere is told apart from ours") {
    // Guards: "killed" in a message never means what Corral did itself.
    Yard yard;
    auto alone = yard.start({"raise=" + std::to_string(SIGKILL)});
    CHECK(yard.wait(*alone) == ExitStatus{true, SIGKILL, Ending::killed});
    auto ended = yard.start({"report", "pause"});
    yard.pids(*ended, 1);
    ended->kill();
    CHECK(yard.wait(*ended) == ExitStatus{true, SIGKILL});
}

TEST_CASE("a tree above its memory limit is ended, and says so") {
    // Guards: the limit holds for the tree as a whole, wherever in it the memory is.
    Yard yard;
    const std::vector<std::vector<std::string>> scripts{
        {"report", "eat=96", "pause"},
        {"report", "spawn=3", "report", "eat=96", "pause", "pause"},
        {"report", "spawn=4", "setsid", "report", "eat=96", "pause", "pause"},
    };
    for (const auto& script : scripts) {
        CAPTURE(script.size());
        auto child = yard.start(script, {}, memory_limit(64 * mib));
        const auto status = yard.wait(*child);
        CHECK(status.ending == Ending::memory_limit);
        CHECK(status.memory_limit == 64 * mib);
        CHECK(status.memory_bytes > 64 * mib);
        CHECK(status.value == SIGKILL);
    }
}

TEST_CASE("a tree below its memory limit runs on") {
    // Guards: what forked processes share is not counted once for each of them.
    Yard yard;
    auto child = yard.start(
        {"eat=40", "spawn=2", "report", "pause", "spawn=2", "report", "pause", "report", "pause"},
        {}, memory_limit(64 * mib));
    const auto pids = yard.pids(*child, 3);
    const std::vector<pid_t> all(pids.begin(), pids.end());
    CHECK(memory_of(all) > 100 * mib);
    int listings = 0;
    bool exceeded = false;
    const auto members = [&] {
        ++listings;
        return all;
    };
    const auto watch = std::make_shared<MemoryWatch>(yard.loop.get_executor(), 64 * mib, members,
                                                     [&](std::uint64_t) { exceeded = true; });
    watch->start();
    CHECK(listings == 2);  // the first glance was alarming, so it looked closely
    CHECK(!exceeded);
    child->terminate();
    CHECK(yard.wait(*child) == ExitStatus{true, SIGTERM});
}

TEST_CASE("nice, oom_score_adj and the number of descriptors are set in the child alone") {
    // Guards: the child has what its limits say from its first instruction, and Corral keeps its
    // own.
    Yard yard;
    struct rlimit before {};
    ::getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit raised = before;
    raised.rlim_cur = before.rlim_cur - 1;  // as if Corral had changed its own since its start
    ::setrlimit(RLIMIT_NOFILE, &raised);
    const int ours = ::getpriority(PRIO_PROCESS, 0);
    ModelLimits limits;
    limits.nice = ours + 3;
    limits.oom_score_adj = 777;
    auto child = yard.start({"limits"}, {}, limits);
    ::setrlimit(RLIMIT_NOFILE, &before);
    yard.wait(*child);
    const auto text = child->last_lines(9);
    CHECK(numbers_after(text, "nice=") == std::vector<int>{ours + 3});
    CHECK(numbers_after(text, "oom_score_adj=") == std::vector<int>{777});
    CHECK(numbers_after(text, "descriptors=") ==
          std::vector<int>{static_cast<int>(before.rlim_cur)});
    CHECK(::getpriority(PRIO_PROCESS, 0) == ours);
}
