#include "supervisor/logic/process_state.hpp"

#include <array>
#include <cstdio>
#include <cstring>

namespace corral {
namespace {

/// "512 B", "1.5 MiB": near enough for a person.
std::string rough_size(std::uint64_t bytes) {
    constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024.0 && unit + 1 < units.size(); ++unit) {
        value /= 1024.0;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text.data();
}

}  // namespace

std::string_view process_state_name(ProcessState state) noexcept {
    constexpr std::array<std::string_view, 6> names{"stopped",  "starting", "ready",
                                                    "stopping", "failed",   "closed"};
    const auto index = static_cast<std::size_t>(state);
    return index < names.size() ? names[index] : "unknown";
}

bool is_at_rest(ProcessState state) noexcept {
    return state == ProcessState::stopped || state == ProcessState::failed ||
           state == ProcessState::closed;
}

std::string ExitStatus::describe() const {
    if (ending == Ending::memory_limit) {
        return "ended by Corral: memory limit of " + rough_size(memory_limit) + " reached" +
               (memory_bytes != 0 ? " (had " + rough_size(memory_bytes) + ")" : "");
    }
    if (ending == Ending::oom_killer) {
        return "killed by the kernel's OOM killer (signal 9)";
    }
    if (!signaled) {
        return "exit status " + std::to_string(value);
    }
    const char* name = sigdescr_np(value);
    return "signal " + std::to_string(value) +
           (name != nullptr ? " (" + std::string(name) + ")" : "") +
           (ending == Ending::killed ? ", which Corral did not send" : "");
}

}  // namespace corral
