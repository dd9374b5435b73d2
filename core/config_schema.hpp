#pragma once
// The configuration's JSON Schema (draft-07), made of the table of keys, for editors and other
// programs. docs/config-schema.json is a copy that a test holds equal. Pure; any thread.

#include <string>

namespace corral {

/// The schema as text with a line end at its end. It has nothing against a file that a strict
/// check has nothing against; the reverse does not hold, because a schema cannot look at macros or
/// at two places at once. Corral's own keys are marked `x-corral-extension`.
[[nodiscard]] std::string config_schema();

}  // namespace corral
