#pragma once
// TLS to upstreams: what is offered, what is accepted, who is believed. A server must prove that it
// is the host of its URL, by a certificate of an authority that the system trusts; there is no way
// around that. A private authority goes to the system's store or into SSL_CERT_FILE. A command that
// talks to the server of its own config believes that server's certificate instead. One thread.

#include "core/endpoint.hpp"
#include "core/error.hpp"
#include "proxy/http/tls_layer.hpp"

#include <memory>
#include <string>
#include <utility>

namespace corral {

class TlsClient {
public:
    TlsClient() = default;
    /// Believes nobody but who has the first certificate of this PEM file, whatever its names are.
    explicit TlsClient(std::string certificate_file)
        : certificate_file_(std::move(certificate_file)) {}

    /// TLS for a new connection to this endpoint, before its handshake. The authorities are read
    /// when the first one is asked for: most programs never need them. Errors: internal.
    [[nodiscard]] Result<std::unique_ptr<http::TlsLayer>> start(const Endpoint& endpoint);

private:
    std::string certificate_file_;  ///< empty: the system's authorities
    http::OpenSslHandle<SSL_CTX> context_;
};

}  // namespace corral
