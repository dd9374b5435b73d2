#include "proxy/http/server.hpp"

#include "core/log.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/listener.hpp"
#include "proxy/http/seldom.hpp"
#include "proxy/http/session.hpp"
#include "proxy/http/tls_server.hpp"
#include "supervisor/fleet/fleet.hpp"
#include "supervisor/fleet/task_group.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <sys/socket.h>
#include <utility>

namespace corral::http {
namespace {

/// For those whom nobody has time for: said at once, without reading what they want.
std::string no_time() {
    const Answer answer = answer_of(
        Error(Errc::overloaded, Blame::internal, "too many connections are open: try again soon"),
        nullptr);
    std::string out = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: " +
                      answer.content_type +
                      "\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\n";
    for (const auto& [name, value] : answer.fields) {
        out.append(name).append(": ").append(value).append("\r\n");
    }
    return out.append("\r\n").append(answer.body);
}

/// Never waits. What the client has sent is taken, as far as it is there: a reset would take the
/// answer from it.
void turn_away(Socket& socket, std::string_view text) noexcept {
    const int fd = socket.native_handle();
    std::array<char, 4096> dropped{};
    static_cast<void>(::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    ::shutdown(fd, SHUT_WR);
    static_cast<void>(::recv(fd, dropped.data(), dropped.size(), MSG_DONTWAIT));
}

bool is_everywhere(const ListenAddress& address, std::string_view host) noexcept {
    return address.unix_path.empty() && address.host == host;
}

/// [::] takes IPv4, too, unless 0.0.0.0 with this port is another entry of the list.
bool leaves_ipv4(const ListenAddress& address, std::span<const ListenAddress> all) {
    return is_everywhere(address, "::") &&
           std::any_of(all.begin(), all.end(), [&](const ListenAddress& other) {
               return is_everywhere(other, "0.0.0.0") && other.port == address.port;
           });
}

/// One address, and what is spoken there.
struct Front {
    Listener listener;
    bool tls = false;

    [[nodiscard]] std::string url() const {
        const std::string scheme = tls ? "https://" : "http://";
        return listener.is_unix() ? listener.address() : scheme + listener.address();
    }
};

}  // namespace

struct Server::Impl {
    Impl(asio::any_io_executor ex, Fleet& fleet, LogBook& logs)
        : executor(ex), context(std::make_shared<SessionContext>(ex, fleet, logs)), tasks(ex) {}

    void accepted(Socket socket, std::string peer, bool with_tls) {
        const auto config = context->fleet.config();
        // A proxy of ours stands for many clients.
        const bool counts = !context->access(config).trusts(peer);
        auto seat = context->seats.take(counts ? peer : std::string(), config->limits);
        if (seat.kind() != Seats::Kind::seat) {
            tell_refusal(seat.kind(), peer);
        }
        if (seat.kind() == Seats::Kind::none) {
            if (!with_tls) {
                turn_away(socket, full);
            }
            return;  // the socket closes here
        }
        std::unique_ptr<TlsLayer> layer;
        if (with_tls) {
            layer = tls->start();
            if (!layer) {
                return;
            }
        }
        tasks.spawn("session", run_session(std::move(socket), std::move(layer), std::move(peer),
                                           std::move(seat), context));
    }

    void tell_refusal(Seats::Kind kind, const std::string& peer) {
        if (const auto refused = refusals.count(Clock::now())) {
            const bool of_peer = kind == Seats::Kind::standing_peer;
            spdlog::warn("accept: {} connections are open, and {} is reached: refusing {} ({} {})",
                         context->seats.taken(),
                         of_peer ? "limits.connectionsPerPeer" : "limits.connections", peer,
                         *refused, *refused == 1 ? "client" : "clients since this was last said");
        }
    }

    void add(Listener listener, bool with_tls) {
        const bool encrypted = with_tls && !listener.is_unix();
        fronts.push_back(std::make_unique<Front>(Front{std::move(listener), encrypted}));
    }

    asio::any_io_executor executor;
    std::shared_ptr<SessionContext> context;
    std::optional<TlsServer> tls;
    std::vector<std::unique_ptr<Front>> fronts;
    Seldom refusals;
    std::string full = no_time();
    TaskGroup tasks;
};

Server::Server(asio::any_io_executor executor, Fleet& fleet, LogBook& logs)
    : impl_(std::make_unique<Impl>(std::move(executor), fleet, logs)) {
    fleet.on_news([context = std::weak_ptr(impl_->context)](const ProcessNews& news) {
        const auto alive = context.lock();
        if (!alive) {
            return;
        }
        if (news.state == ProcessState::stopping) {
            // llama-server waits for its idle connections before it ends, for a tenth of a second.
            alive->pool.forget(PoolKey(news.generation));
        }
        alive->metrics.heard(news, *alive->fleet.config());
    });
}

Server::~Server() = default;

void Server::use_tls(TlsServer tls) {
    impl_->tls = std::move(tls);
}

void Server::reload_tls() {
    if (!impl_->tls) {
        return;
    }
    const auto done = impl_->tls->reload();
    if (!done) {
        spdlog::warn("{}; the old certificate stays", log::clean(done.error().detail));
    } else if (*done) {
        spdlog::info("new TLS certificate, valid until {}", impl_->tls->valid_until());
    }
}

Result<void> Server::listen(std::span<const ListenAddress> addresses) {
    for (const ListenAddress& address : addresses) {
        if (address.tls == ListenAddress::Tls::always && !impl_->tls) {
            return Error(Errc::invalid_config, Blame::internal,
                         "cannot listen on \"" + address.text +
                             "\": https needs a certificate and a key (--tls-cert-file, "
                             "--tls-key-file, or `tls:` in the config)");
        }
        auto opened = Listener::open(impl_->executor, address, leaves_ipv4(address, addresses));
        if (!opened) {
            return opened.error();
        }
        for (auto& listener : *opened) {
            impl_->add(std::move(listener), impl_->tls && address.tls != ListenAddress::Tls::never);
        }
    }
    return {};
}

Result<void> Server::adopt(int descriptor, std::string_view name) {
    auto adopted = Listener::adopt(impl_->executor, descriptor, name);
    if (!adopted) {
        return adopted.error();
    }
    impl_->add(std::move(*adopted), impl_->tls.has_value());
    return {};
}

std::vector<std::string> Server::addresses() const {
    std::vector<std::string> out;
    for (const auto& front : impl_->fronts) {
        out.push_back(front->url());
    }
    return out;
}

bool Server::is_public() const {
    return !std::all_of(impl_->fronts.begin(), impl_->fronts.end(),
                        [](const auto& front) { return front->listener.is_local(); });
}

void Server::on_reload(api::ReloadConfig reload) {
    impl_->context->reload = std::move(reload);
}

void Server::on_regenerate(api::RegenerateConfig regenerate) {
    impl_->context->regenerate = std::move(regenerate);
}

void Server::on_gpus(activity::ReadGpus read) {
    impl_->context->metrics.on_gpus(std::move(read));
}

void Server::start() {
    for (const auto& front : impl_->fronts) {
        // The listener and this object outlive the task: stop() joins it.
        auto accepted = [impl = impl_.get(), tls = front->tls](Socket socket, std::string peer) {
            impl->accepted(std::move(socket), std::move(peer), tls);
        };
        impl_->tasks.spawn("listener", front->listener.run(std::move(accepted)));
    }
}

void Server::drain() {
    impl_->context->draining = true;
    for (const auto& front : impl_->fronts) {
        front->listener.stop();
    }
    for (Wire* wire : impl_->context->idle) {
        wire->close();
    }
}

asio::awaitable<void> Server::peers_served(TimePoint deadline) {
    while (impl_->context->at_peers != 0) {
        const Woken woken = co_await impl_->context->peers_served.wait(deadline);
        if (woken != Woken::notified) {
            co_return;
        }
    }
}

asio::awaitable<void> Server::stop(TimePoint deadline) {
    impl_->context->pool.clear();
    impl_->tasks.cancel_all();
    const bool ended = co_await impl_->tasks.join(deadline);
    if (!ended) {
        spdlog::warn("{} connections did not end in time", impl_->context->seats.taken());
    }
}

std::size_t Server::sessions() const noexcept {
    return impl_->context->seats.taken();
}

}  // namespace corral::http
