#pragma once
// How many files this process may have open: each client and each upstream is one. Main thread.

#include <cstdint>

namespace corral {

struct OpenFiles {
    std::uint64_t before = 0;  ///< the soft limit that we were started with, for our children
    std::uint64_t now = 0;
};

/// Raises the soft limit as far as this process may; 0: it could not be found out.
[[nodiscard]] OpenFiles raise_open_files() noexcept;

}  // namespace corral
