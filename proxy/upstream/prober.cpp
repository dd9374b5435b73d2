#include "proxy/upstream/prober.hpp"

#include "proxy/upstream/connector.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <string>
#include <utility>

namespace corral {
namespace {

namespace asio = boost::asio;
namespace http_lib = boost::beast::http;
constexpr auto as_values = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t head_bytes_max = 8 * 1024;

/// Only the status decides, so only the head is read.
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
        http_lib::request<http_lib::empty_body> request(http_lib::verb::get,
                                                        endpoint.base_path + path, 11);
        request.set(http_lib::field::host, endpoint.authority());
        request.keep_alive(false);
        const auto [sent, written] =
            co_await http_lib::async_write(wire->socket(), request, as_values);
        if (sent || written == 0) {
            co_return false;
        }
        boost::beast::flat_static_buffer<head_bytes_max> buffer;
        http_lib::response_parser<http_lib::empty_body> answer;
        answer.header_limit(head_bytes_max);
        const auto [received, read] =
            co_await http_lib::async_read_header(wire->socket(), buffer, answer, as_values);
        co_return !received && read != 0 && answer.get().result() == http_lib::status::ok;
    }
};

}  // namespace

std::unique_ptr<Prober> make_http_prober() {
    return std::make_unique<HttpProber>();
}

}  // namespace corral
