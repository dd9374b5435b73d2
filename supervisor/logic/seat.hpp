#pragma once
// How the scheduler and its routers name models to each other. Plain values; any thread.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace corral {

/// A model as a router knows it: a small number, valid for one router.
using Seat = std::uint32_t;

/// A model that has a process.
struct Runner {
    Seat seat = 0;
    bool leaving = false;  ///< it goes anyway, whoever runs next

    friend bool operator==(const Runner&, const Runner&) = default;
};

/// Who has to go.
struct Evictions {
    std::vector<std::size_t> positions;  ///< among the runners that were asked about, ascending
    bool exact = true;                   ///< false: a cheaper choice may exist
};

}  // namespace corral
