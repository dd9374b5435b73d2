#include "app/terminal.hpp"

#include <unistd.h>

namespace corral {

bool wants_colour(int fd, const EnvironmentLookup& environment) {
    const auto objection = environment("NO_COLOR");
    return ::isatty(fd) != 0 && (!objection || objection->empty()) &&
           environment("TERM").value_or("") != "dumb";
}

}  // namespace corral
