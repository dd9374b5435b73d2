#pragma once
// A TLS client and a server in one test program, with certificates made here.

#include "proxy/http/tls_layer.hpp"
#include "proxy/upstream/tls_context.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string>
#include <string_view>
#include <utility>

namespace corral::tls_test {

using http::OpenSslHandle;
using http::TlsLayer;
using Step = TlsLayer::Step;
constexpr long day = 24L * 60 * 60;

/// A key and the certificate for it.
struct Identity {
    OpenSslHandle<EVP_PKEY> key;
    OpenSslHandle<X509> certificate;
};

struct Wanted {
    std::string common_name;
    std::string hosts;  ///< subjectAltName, as in openssl.cnf; empty: none
    long from = -day;
    long until = day;
    bool authority = false;
};

inline void extend(X509* certificate, int nid, const std::string& value) {
    const OpenSslHandle<X509_EXTENSION> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
    REQUIRE(extension);
    X509_add_ext(certificate, extension.get(), -1);
}

/// `issuer` nullptr: signed by itself.
inline Identity make_identity(const Wanted& wanted, const Identity* issuer) {
    static long serial = 1;
    Identity out{OpenSslHandle<EVP_PKEY>(EVP_EC_gen("P-256")), OpenSslHandle<X509>(X509_new())};
    X509* x = out.certificate.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), wanted.from);
    X509_gmtime_adj(X509_getm_notAfter(x), wanted.until);
    X509_set_pubkey(x, out.key.get());
    const auto* name = reinterpret_cast<const unsigned char*>(wanted.common_name.data());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, name,
                               static_cast<int>(wanted.common_name.size()), -1, 0);
    const Identity& signer = issuer != nullptr ? *issuer : out;
    X509_set_issuer_name(x, X509_get_subject_name(signer.certificate.get()));
    extend(x, NID_basic_constraints, wanted.authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (!wanted.hosts.empty()) {
        extend(x, NID_subject_alt_name, wanted.hosts);
    }
    REQUIRE(X509_sign(x, signer.key.get(), EVP_sha256()) > 0);
    return out;
}

/// An authority in a file that SSL_CERT_FILE names while this lives.
class Authority {
public:
    Authority() : identity_(make_identity({"test authority", "", -day, day, true}, nullptr)) {
        std::string name = (std::filesystem::temp_directory_path() / "corral-tls-XXXXXX").string();
        const int fd = ::mkstemp(name.data());
        REQUIRE(fd >= 0);
        std::FILE* file = ::fdopen(fd, "w");
        REQUIRE(PEM_write_X509(file, identity_.certificate.get()) == 1);
        REQUIRE(std::fclose(file) == 0);
        path_ = name;
        ::setenv("SSL_CERT_FILE", path_.c_str(), 1);
    }
    Authority(const Authority&) = delete;
    ~Authority() {
        ::unsetenv("SSL_CERT_FILE");
        std::filesystem::remove(path_);
    }
    [[nodiscard]] const Identity& identity() const { return identity_; }

private:
    Identity identity_;
    std::filesystem::path path_;
};

inline std::unique_ptr<TlsLayer> make_server(const Identity& identity, int most = TLS1_3_VERSION) {
    const OpenSslHandle<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
    if (most < TLS1_2_VERSION) {
        SSL_CTX_set_cipher_list(context.get(), "DEFAULT:@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(context.get(), most);
    }
    SSL_CTX_set_max_proto_version(context.get(), most);
    SSL_CTX_use_certificate(context.get(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
    OpenSslHandle<SSL> ssl(SSL_new(context.get()));
    SSL_set_accept_state(ssl.get());
    return std::make_unique<TlsLayer>(std::move(ssl), "");
}

/// Carries what one side sends to the other, in pieces of `piece` bytes; the other takes them in.
inline void carry(TlsLayer& from, TlsLayer& to, std::size_t piece = 4096, bool takes_in = true) {
    const std::string sent = from.take_outgoing();
    for (std::string_view left = sent; !left.empty();) {
        const auto room = to.room();
        const auto bytes = left.substr(0, std::min(piece, room.size()));
        REQUIRE(!bytes.empty());
        std::copy(bytes.begin(), bytes.end(), room.begin());
        to.received(bytes.size());
        left.remove_prefix(bytes.size());
        if (takes_in) {
            static_cast<void>(to.look());
        }
    }
}

struct Pair {
    std::unique_ptr<TlsLayer> client;
    std::unique_ptr<TlsLayer> server;
    Step client_step = Step::starved;
    Step server_step = Step::starved;

    /// Both handshakes, as far as they go.
    void shake(std::size_t piece = 4096) {
        for (int turn = 0; turn < 8 && client_step != Step::failed; ++turn) {
            client_step = client_step == Step::starved ? client->handshake() : client_step;
            carry(*client, *server, piece, false);
            server_step = server_step == Step::starved ? server->handshake() : server_step;
            carry(*server, *client, piece, false);
        }
    }
};

inline Pair make_pair_for(const std::string& url, const Identity& identity,
                          int most = TLS1_3_VERSION) {
    TlsClient clients;
    auto client = clients.start(parse_endpoint(url).value());
    REQUIRE(client.has_value());
    return {std::move(*client), make_server(identity, most)};
}

inline std::string read_all(TlsLayer& layer, Step& end) {
    std::string out;
    std::array<char, 1000> piece{};
    while (true) {
        std::size_t bytes = 0;
        end = layer.read(piece, bytes);
        if (end != Step::done) {
            return out;
        }
        out.append(piece.data(), bytes);
    }
}

}  // namespace corral::tls_test
