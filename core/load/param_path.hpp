#pragma once
// Which paths of a request's JSON body filters may name: the part of gjson's and sjson's syntax
// that means one place. Pure; any thread.

#include <string>
#include <string_view>

namespace corral::load {

/// Why a path cannot be used; empty when it can: keys and array indexes with dots between them,
/// `-1` for the end of an array, `\` before a character that is meant as such.
[[nodiscard]] std::string param_path_mistake(std::string_view path);

/// True for `model`, however it is spelled, and for what is below it: requests go by it.
[[nodiscard]] bool is_protected_path(std::string_view path);

}  // namespace corral::load
