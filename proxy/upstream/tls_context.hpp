#pragma once
// TLS to upstreams: what is offered, what is accepted, who is believed. A server must prove that it
// is the host of its URL, by a certificate of an authority that the system trusts; there is no way
// around that. A private authority goes to the system's store or into SSL_CERT_FILE. One thread.

#include "core/endpoint.hpp"
#include "core/error.hpp"
#include "proxy/http/tls_layer.hpp"

#include <memory>

namespace corral {

class TlsClient {
public:
    /// TLS for a new connection to this endpoint, before its handshake. The authorities are read
    /// when the first one is asked for: most programs never need them. Errors: internal.
    [[nodiscard]] Result<std::unique_ptr<http::TlsLayer>> start(const Endpoint& endpoint);

private:
    http::OpenSslHandle<SSL_CTX> context_;
};

}  // namespace corral
