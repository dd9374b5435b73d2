#include "supervisor/logic/process_state.hpp"

#include <array>
#include <cstring>

namespace corral {

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
    if (!signaled) {
        return "exit status " + std::to_string(value);
    }
    const char* name = sigdescr_np(value);
    return "signal " + std::to_string(value) +
           (name != nullptr ? " (" + std::string(name) + ")" : "");
}

}  // namespace corral
