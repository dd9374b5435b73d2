#include "supervisor/logic/scheduler_messages.hpp"

#include <array>

namespace corral {

std::string_view stop_reason_name(StopReason reason) noexcept {
    constexpr std::array<std::string_view, 5> names{"swap", "ttl", "unload", "config", "shutdown"};
    const auto index = static_cast<std::size_t>(reason);
    return index < names.size() ? names[index] : "unknown";
}

}  // namespace corral
