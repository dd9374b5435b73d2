#pragma once
// What a request's use of a model does to the model. A plain value.

#include "supervisor/fleet/fleet.hpp"

#include <cstdint>

namespace corral::http {

enum class ModelUse : std::uint8_t {
    ordinary,   ///< loads it, and its idle time begins anew when the request has ended
    untouched,  ///< loads it, but its idle time goes on
    if_ready,   ///< looks at one that is ready, and does nothing to it
};

/// For the lease.
[[nodiscard]] constexpr Touches touches(ModelUse use) noexcept {
    return use == ModelUse::untouched ? Touches::no : Touches::yes;
}

}  // namespace corral::http
