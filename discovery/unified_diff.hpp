#pragma once
// What changes between two texts, as `diff -u` and `patch` write and read it. Pure; any thread.

#include <string>
#include <string_view>

namespace corral {

/// Empty when the texts are the same. Very different long texts are shown as one replaced whole.
[[nodiscard]] std::string unified_diff(std::string_view before, std::string_view after,
                                       std::string_view before_name, std::string_view after_name);

/// The same without names and places: every line that went (`-`) or came (`+`).
[[nodiscard]] std::string line_changes(std::string_view before, std::string_view after);

}  // namespace corral
