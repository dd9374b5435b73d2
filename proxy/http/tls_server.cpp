#include "proxy/http/tls_server.hpp"

#include "core/file.hpp"
#include "proxy/http/tls_story.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string_view>
#include <utility>

namespace corral::http {
namespace {

constexpr std::size_t pem_bytes_max = std::size_t{1} << 20;

Error useless(const std::string& file, std::string_view why) {
    ERR_clear_error();
    return {Errc::invalid_config, Blame::internal,
            "TLS cannot be used: " + file + ": " + std::string(why)};
}

/// A service has nobody to ask for a passphrase; OpenSSL would ask the terminal.
int no_passphrase(char* /*into*/, int /*size*/, int /*writes*/, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

OpenSslHandle<BIO> bio_of(const std::string& text) {
    OpenSslHandle<BIO> out(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (!out) {
        throw std::bad_alloc();
    }
    return out;
}

/// The server's certificate, and the ones that lead to its authority behind it.
Result<void> use_certificates(SSL_CTX* context, const std::string& file) {
    const auto text = read_text_file(file, pem_bytes_max);
    if (!text) {
        return Error(text.error().code, Blame::internal,
                     "TLS cannot be used: " + text.error().detail);
    }
    const auto bio = bio_of(*text);
    const OpenSslHandle<X509> own(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
    if (!own) {
        return useless(file, "it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    }
    if (SSL_CTX_use_certificate(context, own.get()) != 1) {
        return useless(file, "the certificate cannot be used: " + tls_problem());
    }
    while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
        if (SSL_CTX_add0_chain_cert(context, next) != 1) {  // takes it over
            X509_free(next);
            return useless(file, "a certificate of an authority in it cannot be used");
        }
    }
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return at_end ? Result<void>() : Result<void>(useless(file, "a certificate in it is broken"));
}

Result<void> use_key(SSL_CTX* context, const TlsServer::Files& files) {
    const auto text = read_text_file(files.key, pem_bytes_max);
    if (!text) {
        return Error(text.error().code, Blame::internal,
                     "TLS cannot be used: " + text.error().detail);
    }
    bool asked = false;
    const auto bio = bio_of(*text);
    const OpenSslHandle<EVP_PKEY> key(
        PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked));
    if (!key && asked) {
        return useless(files.key, "the key needs a passphrase: store it without one");
    }
    if (!key) {
        return useless(files.key,
                       "it holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
    }
    if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
        return useless(files.key,
                       "the key does not belong to the certificate in " + files.certificate);
    }
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
        return useless(files.key, "the key cannot be used: " + tls_problem());
    }
    return {};
}

/// HTTP/1.1 for whoever names protocols; who wants another one only is told so.
int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void* /*argument*/) {
    static constexpr std::string_view ours = "\x08http/1.1";
    unsigned char* found = nullptr;
    const int done =
        SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered, offered_size);
    *chosen = found;
    return done == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<OpenSslHandle<SSL_CTX>> server_context(const TlsServer::Files& files) {
    ERR_clear_error();
    OpenSslHandle<SSL_CTX> out(SSL_CTX_new(TLS_server_method()));
    // The system's configuration may ask for more, and never for less.
    if (!out || (SSL_CTX_get_min_proto_version(out.get()) < TLS1_2_VERSION &&
                 SSL_CTX_set_min_proto_version(out.get(), TLS1_2_VERSION) != 1)) {
        return Error(Errc::internal, Blame::internal, "TLS cannot be used: " + tls_problem());
    }
    SSL_CTX_set_options(out.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(out.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(out.get(), SSL_SESS_CACHE_OFF);  // tickets need no memory here
    SSL_CTX_set_alpn_select_cb(out.get(), choose_protocol, nullptr);
    if (auto done = use_certificates(out.get(), files.certificate); !done) {
        return done.error();
    }
    if (auto done = use_key(out.get(), files); !done) {
        return done.error();
    }
    return out;
}

}  // namespace

Result<TlsServer> TlsServer::load(Files files) {
    auto context = server_context(files);
    if (!context) {
        return context.error();
    }
    return TlsServer(std::move(files), std::move(*context));
}

Result<bool> TlsServer::reload() {
    auto context = server_context(files_);
    if (!context) {
        return context.error();
    }
    const bool another = X509_cmp(SSL_CTX_get0_certificate(context_.get()),
                                  SSL_CTX_get0_certificate(context->get())) != 0;
    context_ = std::move(*context);  // connections hold the old one as long as they last
    return another;
}

std::unique_ptr<TlsLayer> TlsServer::start() const {
    OpenSslHandle<SSL> ssl(SSL_new(context_.get()));
    if (!ssl) {
        return nullptr;
    }
    SSL_set_accept_state(ssl.get());
    return std::make_unique<TlsLayer>(std::move(ssl), std::string());
}

std::string TlsServer::valid_until() const {
    return day_of(X509_get0_notAfter(SSL_CTX_get0_certificate(context_.get())));
}

bool TlsServer::is_expired() const noexcept {
    return X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(context_.get()))) < 0;
}

}  // namespace corral::http
