#pragma once
// What the terminal at the other end of our output wants. Any thread.

#include "core/config_load.hpp"

namespace corral {

/// True when what is written to this descriptor may hold colours: it is a terminal that has them,
/// and its user does not object (no-color.org: NO_COLOR, set to anything).
[[nodiscard]] bool wants_colour(int fd, const EnvironmentLookup& environment);

}  // namespace corral
