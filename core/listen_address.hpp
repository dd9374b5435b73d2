#pragma once
// Where the server listens, as people write it: in `listen:` and after --listen. Pure; any thread.

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

/// An address to listen on: TCP, or a Unix socket when unix_path is not empty.
struct ListenAddress {
    /// Whether the clients speak TLS. Those of a Unix socket never do.
    enum class Tls : std::uint8_t {
        when_there_is_a_certificate,
        never,   ///< http:// was written
        always,  ///< https:// was written
    };

    std::string text;        ///< as it was written, for messages
    std::string host;        ///< without brackets; empty for every address of the machine
    std::uint16_t port = 0;  ///< 0: a free one
    std::string unix_path;   ///< absolute, or empty
    unsigned mode = 0600;    ///< of the Unix socket's file
    Tls tls = Tls::when_there_is_a_certificate;
};

/// Reads HOST:PORT, [IPV6]:PORT, :PORT (every address), PORT, each with http:// or https:// in
/// front if one wants; `unix:/path` or an absolute path that ends in .sock, both with ?mode=0660
/// behind if one wants. Error: invalid_config, a sentence that names the text.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace corral
