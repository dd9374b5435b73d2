#include "proxy/upstream/prober.hpp"

#include "core/config.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/upstream/connector.hpp"
#include "proxy/upstream/tls_context.hpp"

#include <array>
#include <string>
#include <utility>

namespace corral {
namespace {

namespace asio = boost::asio;

/// Only the status decides, so only the head is read.
class HttpProber final : public Prober {
public:
    asio::awaitable<bool> ready(Endpoint endpoint, std::string path, Duration timeout) override {
        const TimePoint deadline = Clock::now() + timeout;
        // Being there is enough without a path. Whether TLS works, the first request tells best.
        endpoint.tls = endpoint.tls && !path.empty();
        ConnectOptions options;
        options.timeout = timeout;
        options.tls_timeout = timeout;
        options.tls = &tls_;
        auto wire = co_await connect_upstream(endpoint, options);
        if (!wire) {
            co_return false;
        }
        if (path.empty()) {
            co_return true;
        }
        wire->set_deadline(deadline);
        wire->set_write_deadline(deadline);
        const std::string request = "GET " + endpoint.base_path + path +
                                    " HTTP/1.1\r\nHost: " + endpoint.authority() +
                                    "\r\nConnection: close\r\n\r\n";
        const std::array<asio::const_buffer, 1> buffers{asio::buffer(request)};
        const auto unsent = co_await wire->write(buffers);
        bool is_ready = false;
        if (!unsent) {
            is_ready = co_await says_ok(*wire);
        }
        wire->close(true);  // many probes would leave as many ports in TIME_WAIT
        co_return is_ready;
    }

private:
    /// `wire` stands in the caller's frame.
    static asio::awaitable<bool> says_ok(http::Wire& wire) {
        const Limits limits;
        http::HeadScanner scanner(limits, http::HeadOf::response);
        while (true) {
            const auto scan = scanner.scan(wire.in().data());
            if (scan.state == http::HeadScan::State::refused) {
                co_return false;
            }
            if (scan.state == http::HeadScan::State::complete) {
                const auto text = wire.in().data().substr(0, scan.bytes);
                const auto head = parse_response_head(text, http::ResponseContext(), limits);
                co_return head && head->status == 200;
            }
            const auto ec = co_await wire.fill();
            if (ec) {
                co_return false;
            }
        }
    }

    TlsClient tls_;
};

}  // namespace

std::unique_ptr<Prober> make_http_prober() {
    return std::make_unique<HttpProber>();
}

}  // namespace corral
