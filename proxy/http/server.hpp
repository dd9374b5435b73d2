#pragma once
// The front of the house: listeners, the sessions that they start, and their orderly end.
// Main loop only.

#include "core/error.hpp"
#include "core/listen_address.hpp"
#include "core/time.hpp"
#include "proxy/activity/metrics.hpp"
#include "proxy/api/regenerate.hpp"
#include "proxy/api/reload.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral {
class Fleet;
class LogBook;
}  // namespace corral

namespace corral::http {

class TlsServer;

class Server {
public:
    /// Fleet and logs must outlive the server. The executor is the main loop's.
    Server(boost::asio::any_io_executor executor, Fleet& fleet, LogBook& logs);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// From now on what is listened on speaks TLS, where the address does not say otherwise.
    void use_tls(TlsServer tls);
    /// Reads certificate and key again, if there are any, and says in the log how that went.
    void reload_tls();
    /// Binds the addresses (see Listener::open) without accepting yet. Errors name the address.
    [[nodiscard]] Result<void> listen(std::span<const ListenAddress> addresses);
    /// The same with a socket that listens already (see Listener::adopt).
    [[nodiscard]] Result<void> adopt(int descriptor, std::string_view name);
    /// What it listens on, `http://127.0.0.1:8091` or `unix:/run/corral.sock`, in the order of
    /// listen() and adopt().
    [[nodiscard]] std::vector<std::string> addresses() const;
    /// True when some address can be reached from other machines.
    [[nodiscard]] bool is_public() const;
    /// Binds what POST /api/config/reload does; without it the route answers 501.
    void on_reload(api::ReloadConfig reload);
    /// The same for POST /api/config/regenerate.
    void on_regenerate(api::RegenerateConfig regenerate);
    /// Binds where GET /metrics reads the GPUs; without it, it tells of none.
    void on_gpus(activity::ReadGpus read);
    /// Begins to accept.
    void start();

    /// Stops accepting, ends idle connections, lets requests in flight finish with
    /// `Connection: close`.
    void drain();
    /// Completes when no peer answers a request any more, or at the deadline. What models answer is
    /// the fleet's to wait for.
    [[nodiscard]] boost::asio::awaitable<void> peers_served(TimePoint deadline);
    /// Ends what is left after drain() and completes when no session is left or at the deadline.
    [[nodiscard]] boost::asio::awaitable<void> stop(TimePoint deadline);
    /// How many client connections are open.
    [[nodiscard]] std::size_t sessions() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace corral::http
