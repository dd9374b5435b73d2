#pragma once
// The life of one client connection: request after request through the phases head, route,
// find_model, admit, connect, send, first_byte, relay, account (docs/architecture.md). Owns its
// socket and buffers; reaches models only through the fleet. Main loop only.

#include "core/path_patterns.hpp"
#include "proxy/activity/metrics.hpp"
#include "proxy/api/access.hpp"
#include "proxy/api/profiles.hpp"
#include "proxy/api/regenerate.hpp"
#include "proxy/api/reload.hpp"
#include "proxy/api/request_id.hpp"
#include "proxy/api/selectors.hpp"
#include "proxy/http/date_clock.hpp"
#include "proxy/http/seats.hpp"
#include "proxy/http/tls_layer.hpp"
#include "proxy/http/wire.hpp"
#include "proxy/upstream/pool.hpp"
#include "proxy/upstream/tls_context.hpp"
#include "supervisor/fleet/wakeup.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace corral {
class Fleet;
class LogBook;
struct Config;
}  // namespace corral

namespace corral::http {

/// What all sessions share. Made by the Server, outlives every session.
struct SessionContext {
    SessionContext(asio::any_io_executor ex, Fleet& f, LogBook& l)
        : executor(ex), fleet(f), logs(l), pool(ex), peers_served(ex) {}

    /// What this config lets whom do, made when it is first asked for. The reference is good until
    /// another config's are asked for: not across a co_await.
    [[nodiscard]] const api::AccessRules& access(const std::shared_ptr<const Config>& config);
    /// upstream.ignorePaths of this config, compiled when it is first asked for.
    [[nodiscard]] const PathPatterns& ignored_paths(const std::shared_ptr<const Config>& config);

    asio::any_io_executor executor;
    Fleet& fleet;
    LogBook& logs;
    UpstreamPool pool;
    TlsClient tls;                        ///< to upstreams
    api::ActiveProfile profile;           ///< none at start; a reload that has it still keeps it
    api::SelectorLoads selectors;         ///< what the spillovers have under way
    activity::Metrics metrics;            ///< hears the fleet's news from the Server
    api::ReloadConfig reload;             ///< bound by the program; may be empty
    api::RegenerateConfig regenerate;     ///< the same
    bool draining = false;                ///< answer what is in flight, then close
    Seats seats;                          ///< of the clients that are connected
    std::size_t waiting_with_buffer = 0;  ///< of them: idle for less than a moment
    std::size_t bytes_held = 0;           ///< of bodies: for their model or filters
    std::size_t at_peers = 0;             ///< requests that a peer answers: no lease knows of them
    Wakeup peers_served;                  ///< at_peers has become 0
    std::uint64_t requests = 0;           ///< counts requests
    api::RequestIds request_ids;          ///< for those that bring none
    DateClock clock;                      ///< for the Date of answers
    std::list<Wire*> idle;  ///< connections between two requests: closed at once by drain

private:
    std::optional<api::AccessRules> access_;
    PathPatterns patterns_;
    std::shared_ptr<const Config> patterns_of_;
};

/// Serves one connection until it ends; one that has no seat gets a 503 and no more. Never throws
/// for what a peer does. `peer` is the client's address, `tls` nullptr for plain HTTP. The context
/// is kept alive by the pointer.
[[nodiscard]] asio::awaitable<void> run_session(Socket socket, std::unique_ptr<TlsLayer> tls,
                                                std::string peer, Seats::Seat seat,
                                                std::shared_ptr<SessionContext> context);

}  // namespace corral::http
