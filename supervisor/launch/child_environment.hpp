#pragma once
// What a child gets to see of Corral's environment, and which file a program's name means. Used by
// the launcher before it forks; main thread. Nothing here forks or keeps state.

#include "core/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// The variable whose random value every descendant of one launch inherits.
inline constexpr std::string_view run_variable = "CORRAL_MODEL_RUN";

/// NAME=value entries for a child: `own` (a null-terminated array like environ) without
/// NOTIFY_SOCKET, LISTEN_*, WATCHDOG_*, CORRAL_* and without names that `extra` sets; then `extra`,
/// the last of a name winning; then run_variable=`run`. Entries without a name are left out, and so
/// are those of `own` whose value is one of `keys`, or holds one that is long enough not to be an
/// ordinary word. Pure.
[[nodiscard]] std::vector<std::string> child_environment(const char* const* own,
                                                         const std::vector<std::string>& extra,
                                                         std::string_view run,
                                                         const std::vector<std::string>& keys = {});

/// The value of NAME in such a list; empty when it is not there. Pure.
[[nodiscard]] std::string_view environment_value(const std::vector<std::string>& environment,
                                                 std::string_view name) noexcept;

/// The file that execve should get for `program`: itself when it holds a slash, else the first
/// executable file of that name on `path` (as in PATH; an empty part is the working directory).
/// Error: start_failed, with a reason and a hint.
[[nodiscard]] Result<std::string> find_program(const std::string& program, std::string_view path);

/// The start_failed error of a program, with strerror's sentence and a hint what to do. Names the
/// program, never its arguments. `found`: it had been found and was executable.
[[nodiscard]] Error start_error(std::string_view program, int error_number, bool found);

}  // namespace corral
