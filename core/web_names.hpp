#pragma once
// How `allowedHosts` and `allowedOrigins` name hosts and web pages: reading an entry, and asking
// whether a request's name is meant by it. Pure; any thread. The questions allocate nothing.

#include "core/error.hpp"

#include <string>
#include <string_view>

namespace corral {

/// An entry of allowedHosts as it is kept, in lower case: `*`, `example.org` or `*.example.org`
/// (every name below it; `.example.org` is the same). A port is left out. Error: invalid_config,
/// saying what may stand there.
[[nodiscard]] Result<std::string> read_host_pattern(std::string_view text);
/// Whether such an entry means this host: a name without its port, any case.
[[nodiscard]] bool matches_host(std::string_view pattern, std::string_view host) noexcept;

/// An entry of allowedOrigins as it is kept, in lower case: `*`, `null`, or an origin as browsers
/// send it, `https://example.org:8443`. Without `scheme://` it means http and https; for the host
/// `*` and `*.example.org` may stand, for the port `*`. Error: invalid_config.
[[nodiscard]] Result<std::string> read_origin_pattern(std::string_view text);
/// Whether such an entry means the page of this Origin field, whatever a client wrote there.
[[nodiscard]] bool matches_origin(std::string_view pattern, std::string_view origin) noexcept;

/// An origin taken apart: of `https://example.org:8443`, these three. Views of its text.
struct OriginParts {
    std::string_view scheme;
    std::string_view host;  ///< with brackets, where it has them
    std::string_view port;  ///< empty: none is written
};
/// False for what has no `://` or bytes that are of no host or port.
[[nodiscard]] bool split_origin(std::string_view origin, OriginParts& out) noexcept;
/// A host and its port, the port empty where none is written; brackets stay with the host.
[[nodiscard]] OriginParts split_authority(std::string_view authority) noexcept;
/// Whether the page of this origin came from this authority: host and port are the same, and a port
/// that is not written is the scheme's own.
[[nodiscard]] bool is_same_authority(const OriginParts& origin,
                                     std::string_view authority) noexcept;

/// ASCII letters without case.
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace corral
