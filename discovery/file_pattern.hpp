#pragma once
// Patterns of file names as discovery's settings have them. Pure; any thread.

#include <string_view>

namespace corral {

/// `*` stands for any text, `?` for one byte; capitals do not matter. A pattern with a `/` in it
/// must fit the whole path, another one the file's name. At most linear × linear work.
[[nodiscard]] bool matches_file(std::string_view pattern, std::string_view path) noexcept;

}  // namespace corral
