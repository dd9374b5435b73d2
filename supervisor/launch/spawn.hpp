#pragma once
// The one place where a process is made: fork and exec with everything that a child must not
// inherit taken away. Main thread only (PDEATHSIG belongs to the forking thread). Blocks until exec
// has succeeded or failed. Knows nothing of models, loops or trees.

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace corral {

struct SpawnRequest {
    std::string file;  ///< what execve gets
    std::vector<std::string> argv;
    std::vector<std::string> environment;  ///< all of it
    int output = -1;                       ///< becomes stdout and stderr; above 2, stays ours
    int cgroup_procs = -1;                 ///< cgroup.procs of the group to join; -1: stays in ours
    std::optional<int> nice;
    std::optional<int> oom_score_adj;
    std::optional<std::uint64_t> descriptors;  ///< its soft RLIMIT_NOFILE; empty: as ours is now
};

struct SpawnResult {
    pid_t pid = -1;
    int error_number = 0;  ///< errno of what failed; then there is no process and no zombie
};

/// Starts the program: stdin is /dev/null, own session and so own process group, SIGKILL when the
/// calling thread ends, every signal at its default and unblocked, no descriptor above 2. A wish
/// that the system refuses (group, nice, oom_score_adj) keeps no program from starting: the caller
/// looks at what came of it.
[[nodiscard]] SpawnResult spawn_process(const SpawnRequest& request);

}  // namespace corral
