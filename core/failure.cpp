#include "core/failure.hpp"

#include <array>

namespace corral {

std::string_view failure_class_name(FailureClass kind) noexcept {
    constexpr std::array<std::string_view, 9> names{
        "other",           "out_of_memory", "file_missing", "bad_flag", "port_in_use",
        "library_missing", "oom_killed",    "memory_limit", "timeout"};
    const auto index = static_cast<std::size_t>(kind);
    return index < names.size() ? names[index] : "other";
}

}  // namespace corral
