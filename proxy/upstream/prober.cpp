#include "proxy/upstream/prober.hpp"

#include "proxy/upstream/connector.hpp"

#include <array>
#include <string>
#include <string_view>

namespace corral {
namespace {

namespace asio = boost::asio;

constexpr std::size_t status_line_enough = 12;  // "HTTP/1.1 200"

bool says_200(std::string_view answer) {
    return answer.starts_with("HTTP/1.") && answer.size() > status_line_enough &&
           answer.substr(8, 4) == " 200" && (answer[12] == ' ' || answer[12] == '\r');
}

/// Only the status decides, so only the status line is read.
class HttpProber final : public Prober {
public:
    asio::awaitable<bool> ready(Endpoint endpoint, std::string path, Duration timeout) override {
        const TimePoint deadline = Clock::now() + timeout;
        auto wire = co_await connect_upstream(endpoint, timeout);
        if (!wire) {
            co_return false;
        }
        if (path.empty()) {
            co_return true;
        }
        wire->set_deadline(deadline);
        const std::string request = "GET " + endpoint.base_path + path +
                                    " HTTP/1.1\r\nHost: " + endpoint.authority() +
                                    "\r\nConnection: close\r\n\r\n";
        const std::array<asio::const_buffer, 1> bytes{asio::buffer(request)};
        if (co_await wire->write(bytes)) {
            co_return false;
        }
        while (wire->in().data().size() <= status_line_enough) {
            if (co_await wire->fill()) {
                co_return false;
            }
        }
        co_return says_200(wire->in().data());
    }
};

}  // namespace

std::unique_ptr<Prober> make_http_prober() {
    return std::make_unique<HttpProber>();
}

}  // namespace corral
