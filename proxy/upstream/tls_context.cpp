#include "proxy/upstream/tls_context.hpp"

#include "proxy/http/tls_story.hpp"

#include <boost/asio/ip/address.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string>
#include <string_view>
#include <utility>

namespace corral {
namespace {

using http::OpenSslHandle;

/// In the wire format: each name after its length.
constexpr std::string_view protocols = "\x08http/1.1";

Error unusable() {
    return {Errc::internal, Blame::internal, "TLS cannot be used: " + http::tls_problem()};
}

/// Makes the first certificate of the file, and nothing else, one that is believed in.
bool believe_in(SSL_CTX* context, const std::string& file) {
    const OpenSslHandle<BIO> bytes(BIO_new_file(file.c_str(), "r"));
    const OpenSslHandle<X509> certificate(
        bytes ? PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr) : nullptr);
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    // It need not be an authority's: it stands for itself.
    return certificate && X509_STORE_add_cert(store, certificate.get()) == 1 &&
           X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

/// `certificate_file` may be empty.
Result<OpenSslHandle<SSL_CTX>> make_context(const std::string& certificate_file) {
    ERR_clear_error();
    OpenSslHandle<SSL_CTX> out(SSL_CTX_new(TLS_client_method()));
    if (!out) {
        return unusable();
    }
    // The system's configuration may ask for more, and never for less.
    if (SSL_CTX_get_min_proto_version(out.get()) < TLS1_2_VERSION &&
        SSL_CTX_set_min_proto_version(out.get(), TLS1_2_VERSION) != 1) {
        return unusable();
    }
    SSL_CTX_set_verify(out.get(), SSL_VERIFY_PEER, nullptr);
    // SSL_CERT_FILE and SSL_CERT_DIR stand for the system's file and folder.
    if (certificate_file.empty() ? SSL_CTX_set_default_verify_paths(out.get()) != 1
                                 : !believe_in(out.get(), certificate_file)) {
        return unusable();
    }
    const auto* offered = reinterpret_cast<const unsigned char*>(protocols.data());
    if (SSL_CTX_set_alpn_protos(out.get(), offered, static_cast<unsigned>(protocols.size())) != 0) {
        return unusable();
    }
    SSL_CTX_set_options(out.get(), SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(out.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(out.get(), SSL_SESS_CACHE_OFF);  // connections are reused
    return out;
}

/// The certificate has to be for this host, and a server for many learns which one is meant.
bool expect_host(SSL* ssl, const std::string& host) {
    boost::system::error_code no_address;
    boost::asio::ip::make_address(host, no_address);
    if (!no_address) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    }
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, host.c_str()) == 1 &&
           SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

}  // namespace

Result<std::unique_ptr<http::TlsLayer>> TlsClient::start(const Endpoint& endpoint) {
    if (!context_) {
        auto made = make_context(certificate_file_);
        if (!made) {
            return made.error();
        }
        context_ = std::move(*made);
    }
    ERR_clear_error();
    OpenSslHandle<SSL> ssl(SSL_new(context_.get()));
    std::string host = endpoint.host;
    if (host.ends_with('.')) {
        host.pop_back();  // the root's dot is for resolvers only
    }
    if (!ssl || (certificate_file_.empty() && !expect_host(ssl.get(), host))) {
        return unusable();
    }
    SSL_set_connect_state(ssl.get());
    return std::make_unique<http::TlsLayer>(std::move(ssl), std::move(host));
}

}  // namespace corral
