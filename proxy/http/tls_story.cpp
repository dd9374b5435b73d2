#include "proxy/http/tls_story.hpp"

#include "proxy/http/tls_handles.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <array>
#include <ctime>
#include <openssl/err.h>
#include <vector>

namespace corral::http {
namespace {

constexpr std::size_t names_told_max = 6;
constexpr std::size_t name_bytes_max = 100;

/// Certificates come from strangers: only what can stand in a line of a log.
std::string printable(std::string_view text) {
    std::string out(text.substr(0, name_bytes_max));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return out;
}

std::string text_of(const ASN1_STRING* string) {
    const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(string));
    return printable({bytes, static_cast<std::size_t>(ASN1_STRING_length(string))});
}

std::string common_name(const X509_NAME* name) {
    const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    return at < 0 ? std::string("without a name")
                  : '"' + text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))) + '"';
}

std::string address_of(const ASN1_STRING* octets) {
    namespace ip = boost::asio::ip;
    const auto* bytes = ASN1_STRING_get0_data(octets);
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(octets));
    if (ip::address_v4::bytes_type v4{}; size == v4.size()) {
        std::copy_n(bytes, size, v4.begin());
        return ip::address_v4(v4).to_string();
    }
    if (ip::address_v6::bytes_type v6{}; size == v6.size()) {
        std::copy_n(bytes, size, v6.begin());
        return ip::address_v6(v6).to_string();
    }
    return "?";
}

/// The hosts that a certificate is for, as a list for people.
std::string hosts_of(const X509* certificate) {
    const OpenSslHandle<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::vector<std::string> found;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type == GEN_DNS) {
            found.push_back(text_of(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            found.push_back(address_of(name->d.iPAddress));
        }
    }
    if (found.empty()) {
        return "no host (it has no subject alternative name; its common name, " +
               common_name(X509_get_subject_name(certificate)) + ", does not count)";
    }
    std::string out = found.front();
    for (std::size_t i = 1; i < std::min(found.size(), names_told_max); ++i) {
        out += ", " + found[i];
    }
    if (found.size() > names_told_max) {
        out += " and " + std::to_string(found.size() - names_told_max) + " more";
    }
    return out;
}

constexpr std::string_view trust_hint =
    ": put the authority's certificate among those of the system, or into a file that the "
    "environment variable SSL_CERT_FILE names";

}  // namespace

std::string certificate_problem(X509_STORE_CTX* verification, std::string_view host) {
    const int code = X509_STORE_CTX_get_error(verification);
    const X509* at_fault = X509_STORE_CTX_get_current_cert(verification);
    const X509* own = X509_STORE_CTX_get0_cert(verification);
    if (at_fault == nullptr || own == nullptr) {
        return X509_verify_cert_error_string(code);
    }
    const std::string whose =
        X509_STORE_CTX_get_error_depth(verification) == 0
            ? std::string("its certificate")
            : "the certificate of its authority " + common_name(X509_get_subject_name(at_fault));
    switch (code) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return whose + " expired on " + day_of(X509_get0_notAfter(at_fault));
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return whose + " holds from " + day_of(X509_get0_notBefore(at_fault)) +
                   " only: is this machine's clock right?";
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return "its certificate is for " + hosts_of(own) + " and not for " + std::string(host);
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return "its certificate is signed by itself, and nothing here says that it is trusted" +
                   std::string(trust_hint);
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return whose + " is signed by " + common_name(X509_get_issuer_name(at_fault)) +
                   ", an authority that is not trusted here" + std::string(trust_hint);
        default:
            return whose + " was refused: " + X509_verify_cert_error_string(code);
    }
}

std::string day_of(const ASN1_TIME* time) {
    std::tm parts{};
    std::array<char, 32> text{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        return "an unreadable date";
    }
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts)};
}

std::string tls_problem() {
    const unsigned long code = ERR_peek_error();
    ERR_clear_error();
    if (code == 0) {
        return "unknown error";
    }
    const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    switch (reason) {
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_PACKET_LENGTH_TOO_LONG:
            return "it does not speak TLS there: is the address meant to begin with http://?";
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return "it speaks no TLS 1.2 or newer";
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return "it ended the connection";
        default:
            break;
    }
    const char* text = ERR_reason_error_string(code);
    return text != nullptr ? text : "error " + std::to_string(code);
}

}  // namespace corral::http
