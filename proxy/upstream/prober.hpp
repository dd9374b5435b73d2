#pragma once
// The readiness probe: one GET over a connection of its own, with TLS where the URL says https.
// Main loop only.

#include "supervisor/fleet/prober.hpp"

#include <memory>

namespace corral {

/// The Prober that speaks HTTP. One serves the whole program.
[[nodiscard]] std::unique_ptr<Prober> make_http_prober();

}  // namespace corral
