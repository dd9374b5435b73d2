#include "proxy/http/tunnel.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <array>

namespace corral::http {
namespace {

asio::awaitable<bool> copy_until_end(Wire& from, Wire& to) {
    from.set_deadline(TimePoint::max());
    while (true) {
        if (!from.in().empty()) {
            const auto bytes = from.in().data();
            const std::array<asio::const_buffer, 1> buffer{asio::buffer(bytes)};
            const auto ec = co_await to.write(buffer);
            from.in().consume(bytes.size());
            if (ec) {
                from.close();
                co_return false;
            }
        }
        if (const auto ec = co_await from.fill(); ec == asio::error::eof) {
            error_code ignored;
            to.socket().shutdown(asio::socket_base::shutdown_send, ignored);
            co_return true;
        } else if (ec) {
            to.close();
            co_return false;
        }
    }
}

}  // namespace

asio::awaitable<void> run_tunnel(Wire& upstream, Wire& client) {
    using namespace asio::experimental::awaitable_operators;
    client.unwatch();
    co_await (copy_until_end(upstream, client) && copy_until_end(client, upstream));
}

}  // namespace corral::http
