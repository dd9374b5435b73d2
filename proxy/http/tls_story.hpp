#pragma once
// Why a TLS handshake failed, for people: what is wrong with whose certificate, and what helps.
// Reads OpenSSL's objects, changes nothing but its error queue. Any thread.

#include <openssl/types.h>
#include <string>
#include <string_view>

namespace corral::http {

/// What is wrong with the certificate that a verification has just refused: expired, of an unknown
/// authority, for other names. `host` is whom we wanted.
[[nodiscard]] std::string certificate_problem(X509_STORE_CTX* verification, std::string_view host);

/// A certificate's date, for people.
[[nodiscard]] std::string day_of(const ASN1_TIME* time);

/// What this thread's error queue says of the operation that has just failed; empties the queue.
[[nodiscard]] std::string tls_problem();

}  // namespace corral::http
