#pragma once
// The outer of Corral's two processes. It forks the server before any thread exists, forwards
// signals to it, and when the server ends — however — kills everything that is left below and
// passes on the server's exit status. Single-threaded, a subreaper, no event loop.

#include <functional>

namespace corral {

/// Forks. The child becomes a subreaper too and runs `server(guard_fd)`, whose return value is its
/// exit status; guard_fd becomes readable (end of file) when the guard has died: the server must
/// then kill its models and exit. The parent is the guard and returns the status to exit with
/// (128 + N when signal N ended the server). Call from main(), before any thread. `afterwards` is
/// called in the guard when nothing is left below it; what it leaves there is killed.
[[nodiscard]] int run_guarded(const std::function<int(int guard_fd)>& server,
                              const std::function<void()>& afterwards = nullptr);

/// Makes this process a subreaper without a guard (`--no-guard`).
void become_subreaper() noexcept;

/// SIGKILLs every descendant of this process and reaps until none is left or `timeout_ms` passed.
/// Returns how many it killed. Blocks; for the guard, and for the server's last act.
int kill_all_descendants(int timeout_ms) noexcept;

}  // namespace corral
