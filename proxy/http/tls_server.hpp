#pragma once
// TLS towards clients: certificate and key from two PEM files, TLS 1.2 or newer. Files are read at
// the start and at a reload, never while a client waits. Main loop only.

#include "core/error.hpp"
#include "proxy/http/tls_layer.hpp"

#include <memory>
#include <string>

namespace corral::http {

class TlsServer {
public:
    struct Files {
        std::string certificate;  ///< the server's own first, then those of its authorities
        std::string key;
    };

    /// Errors: io, invalid_config; they name the file and what is wrong with it.
    [[nodiscard]] static Result<TlsServer> load(Files files);
    /// Reads both files again, for the clients that come from now on. An error changes nothing.
    /// True when the certificate is another one.
    [[nodiscard]] Result<bool> reload();
    /// TLS for a new connection, before its handshake; nullptr when memory runs out.
    [[nodiscard]] std::unique_ptr<TlsLayer> start() const;
    /// Until when the certificate holds, for people.
    [[nodiscard]] std::string valid_until() const;
    /// True when that has passed.
    [[nodiscard]] bool is_expired() const noexcept;

private:
    TlsServer(Files files, OpenSslHandle<SSL_CTX> context)
        : files_(std::move(files)), context_(std::move(context)) {}

    Files files_;
    OpenSslHandle<SSL_CTX> context_;
};

}  // namespace corral::http
