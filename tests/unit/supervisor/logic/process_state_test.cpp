// The words for how a process ended, as they stand in errors and in the log.
#include "supervisor/logic/process_state.hpp"

#include <doctest/doctest.h>

#include <csignal>

using namespace corral;

TEST_CASE("an end says who brought it about") {
    // Guards: the reader of a 503 learns whether the model failed, Corral ended it, or the kernel.
    CHECK(ExitStatus{false, 3}.describe() == "exit status 3");
    CHECK(ExitStatus{true, SIGTERM}.describe() == "signal 15 (Terminated)");
    CHECK(ExitStatus{true, SIGKILL, Ending::killed}.describe() ==
          "signal 9 (Killed), which Corral did not send");
    CHECK(ExitStatus{true, SIGKILL, Ending::oom_killer}.describe() ==
          "killed by the kernel's OOM killer (signal 9)");
}

TEST_CASE("a memory limit is told with its figures") {
    // Guards: "memory limit of N reached (had M)", in units that a person compares.
    const std::uint64_t gib = 1ULL << 30U;
    CHECK(ExitStatus{true, SIGKILL, Ending::memory_limit, 2 * gib, 2 * gib + gib / 8}.describe() ==
          "ended by Corral: memory limit of 2.0 GiB reached (had 2.1 GiB)");
    CHECK(ExitStatus{true, SIGKILL, Ending::memory_limit, 512, 0}.describe() ==
          "ended by Corral: memory limit of 512 B reached");
}
