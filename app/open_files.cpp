#include "app/open_files.hpp"

#include <algorithm>
#include <sys/resource.h>

namespace corral {
namespace {

/// More than any config can ask for; some containers allow a thousand times as many.
constexpr rlim_t enough = rlim_t{1} << 21U;

}  // namespace

OpenFiles raise_open_files() noexcept {
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return {};
    }
    OpenFiles out{limit.rlim_cur, limit.rlim_cur};
    limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, enough));
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out.now = limit.rlim_cur;
    }
    return out;
}

}  // namespace corral
