#pragma once
// A path to a value in a JSON document, in the part of gjson's and sjson's syntax that names one
// place: keys, indexes, -1 for the end of an array, `\` before a character that is meant as such,
// `:` before a number that is a key. Wildcards and queries are not part of it. Pure; any thread.

#include "core/error.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http {

/// One step of a path. What it means depends on what it is applied to: `0` is an index of an array
/// and a key of an object.
struct JsonStep {
    std::string key;                   ///< as a key of an object, escapes taken away
    std::optional<std::size_t> index;  ///< as an index of an array
    bool is_end = false;               ///< "-1": the last element, or a new one behind it

    friend bool operator==(const JsonStep&, const JsonStep&) = default;
};

using JsonPath = std::vector<JsonStep>;

/// Error: unsupported when it names no place (empty, an empty step) or several (`*`, `?`, `#`, `|`,
/// `@` without a `\`), or has more than `json_path_steps_max` steps.
[[nodiscard]] Result<JsonPath> parse_json_path(std::string_view text);

inline constexpr std::size_t json_path_steps_max = 64;

}  // namespace corral::http
