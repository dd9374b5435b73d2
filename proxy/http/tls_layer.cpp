#include "proxy/http/tls_layer.hpp"

#include "proxy/http/tls_story.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstring>
#include <openssl/err.h>
#include <utility>

namespace corral::http {
namespace {

/// Reading makes few bytes to send (alerts, key updates); who provokes more than this is no friend.
constexpr std::size_t unsent_while_reading_max = std::size_t{64} * 1024;

class TlsCategory final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "corral.tls"; }
    std::string message(int code) const override {
        switch (static_cast<TlsErrc>(code)) {
            case TlsErrc::cut:
                return "TLS: the connection ended without notice, so bytes may be missing";
            case TlsErrc::plain:
                return "TLS: plain HTTP came instead";
            default:
                return "TLS: what came is broken";
        }
    }
};

}  // namespace

boost::system::error_code make_error_code(TlsErrc code) noexcept {
    static constexpr TlsCategory category;
    return {static_cast<int>(code), category};
}

TlsLayer::TlsLayer(OpenSslHandle<SSL> ssl, std::string host)
    : host_(std::move(host)), ssl_(std::move(ssl)) {
    BIO* bio = BIO_new(bio_method());
    if (bio == nullptr) {
        throw std::bad_alloc();
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);  // owns it from here on
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_verify(ssl_.get(), SSL_get_verify_mode(ssl_.get()), &TlsLayer::verified);
}

TlsLayer::Step TlsLayer::handshake() {
    if (over_ != Step::done) {
        return over_;
    }
    ERR_clear_error();
    const Step step = judge(SSL_do_handshake(ssl_.get()));
    established_ = step == Step::done;
    return step;
}

TlsLayer::Step TlsLayer::read(std::span<char> into, std::size_t& bytes) {
    bytes = 0;
    if (over_ != Step::done) {
        return over_;
    }
    const std::size_t unsent = outgoing_.size();
    ERR_clear_error();
    const Step step = judge(SSL_read_ex(ssl_.get(), into.data(), into.size(), &bytes));
    if (outgoing_.size() > std::max(unsent, unsent_while_reading_max)) {
        return fail(Step::failed, "it asks for one key update after the other");
    }
    return step;
}

TlsLayer::Step TlsLayer::write(std::string_view plaintext) {
    if (over_ != Step::done || plaintext.empty()) {
        return over_ == Step::done ? Step::done : Step::failed;
    }
    std::size_t written = 0;
    ERR_clear_error();
    // All of it or nothing: the BIO takes everything, and partial writes are not switched on.
    const Step step = judge(SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written));
    return step == Step::done ? step : fail(Step::failed, "it cannot be written to");
}

void TlsLayer::finish() noexcept {
    if (established_ && over_ == Step::done) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
}

TlsLayer::Step TlsLayer::look() {
    if (over_ != Step::done) {
        return over_;
    }
    char first = 0;
    std::size_t bytes = 0;
    ERR_clear_error();
    return judge(SSL_peek_ex(ssl_.get(), &first, 1, &bytes));
}

boost::system::error_code TlsLayer::error_of(Step step) noexcept {
    switch (step) {
        case Step::ended:
            return boost::asio::error::eof;
        case Step::cut:
            return TlsErrc::cut;
        default:
            return TlsErrc::broken;
    }
}

TlsLayer::Step TlsLayer::judge(int result) {
    if (result == 1) {
        return Step::done;
    }
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return Step::starved;
        case SSL_ERROR_ZERO_RETURN:
            return Step::ended;
        default:
            break;
    }
    const bool cut = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    std::string why = certificate_.empty() ? tls_problem() : certificate_;
    ERR_clear_error();
    return fail(cut ? Step::cut : Step::failed, std::move(why));
}

TlsLayer::Step TlsLayer::fail(Step step, std::string why) {
    over_ = step;
    if (failure_.empty()) {
        failure_ = std::move(why);
    }
    return step;
}

/// Keeps what is wrong while the certificates are at hand; decides nothing.
int TlsLayer::verified(int good, X509_STORE_CTX* verification) {
    if (good != 1) {
        const auto* ssl = static_cast<SSL*>(
            X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto* self = static_cast<TlsLayer*>(SSL_get_app_data(ssl));
        self->certificate_ = certificate_problem(verification, self->host_);
    }
    return good;
}

const BIO_METHOD* TlsLayer::bio_method() {
    static const OpenSslHandle<BIO_METHOD> method = [] {
        OpenSslHandle<BIO_METHOD> out(
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "corral"));
        if (!out) {
            throw std::bad_alloc();
        }
        BIO_meth_set_read(out.get(), &TlsLayer::bio_read);
        BIO_meth_set_write(out.get(), &TlsLayer::bio_write);
        BIO_meth_set_ctrl(out.get(), &TlsLayer::bio_control);
        return out;
    }();
    return method.get();
}

int TlsLayer::bio_read(BIO* bio, char* into, int size) {
    auto* self = static_cast<TlsLayer*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto bytes =
        self->incoming_.data().substr(0, static_cast<std::size_t>(std::max(size, 0)));
    if (bytes.empty()) {
        if (!self->connection_ended_) {
            BIO_set_retry_read(bio);
            return -1;
        }
        return 0;
    }
    std::memcpy(into, bytes.data(), bytes.size());
    self->incoming_.consume(bytes.size());
    return static_cast<int>(bytes.size());
}

int TlsLayer::bio_write(BIO* bio, const char* bytes, int size) {
    auto* self = static_cast<TlsLayer*>(BIO_get_data(bio));
    self->outgoing_.append(bytes, static_cast<std::size_t>(std::max(size, 0)));
    return size;
}

long TlsLayer::bio_control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    const auto* self = static_cast<TlsLayer*>(BIO_get_data(bio));
    switch (command) {
        case BIO_CTRL_EOF:
            return self->connection_ended_ && self->incoming_.empty() ? 1 : 0;
        case BIO_CTRL_FLUSH:
            return 1;
        default:
            return 0;
    }
}

}  // namespace corral::http
