#pragma once
// Where an upstream listens, read from a `proxy:` URL. Pure; any thread.

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

/// An upstream address: TCP host and port, or a Unix socket when unix_path is not empty.
class Endpoint {
public:
    Endpoint() = default;

    std::string host;        ///< name or IP literal without brackets; empty for a Unix socket
    std::uint16_t port = 0;  ///< 0 for a Unix socket
    std::string unix_path;   ///< file system path of a Unix socket, or empty
    std::string base_path;   ///< path prefix of the upstream without trailing slash; often empty
    bool tls = false;        ///< https

    /// `host:port` as it stands in a Host header or a log line.
    [[nodiscard]] std::string authority() const;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// Reads `http://host[:port][/base]`, `https://…` or `unix:///path`. User info, queries, fragments
/// and other schemes are errors (invalid_config) that say what was expected.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view url);

}  // namespace corral
