#include "proxy/http/server.hpp"

#include "core/log.hpp"
#include "proxy/http/listener.hpp"
#include "proxy/http/session.hpp"
#include "supervisor/fleet/fleet.hpp"
#include "supervisor/fleet/task_group.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace corral::http {

struct Server::Impl {
    Impl(asio::any_io_executor ex, Fleet& fleet, LogBook& logs)
        : executor(ex), context(std::make_shared<SessionContext>(ex, fleet, logs)), tasks(ex) {}

    void accepted(Socket socket, std::string peer) {
        if (context->sessions >= context->fleet.config()->limits.connections) {
            spdlog::warn(
                "accept: {} connections are open, which is limits.connections; refusing {}",
                context->sessions, peer);
            return;  // the socket closes here
        }
        tasks.spawn("session", run_session(std::move(socket), std::move(peer), context));
    }

    asio::any_io_executor executor;
    std::shared_ptr<SessionContext> context;
    std::vector<std::unique_ptr<Listener>> listeners;
    TaskGroup tasks;
};

Server::Server(asio::any_io_executor executor, Fleet& fleet, LogBook& logs)
    : impl_(std::make_unique<Impl>(std::move(executor), fleet, logs)) {
    // llama-server waits for its idle connections before it ends, for a tenth of a second.
    fleet.on_stopping([context = std::weak_ptr(impl_->context)](std::uint64_t generation) {
        if (const auto alive = context.lock()) {
            alive->pool.forget(PoolKey(generation));
        }
    });
}

Server::~Server() = default;

Result<void> Server::listen(std::string_view address) {
    auto opened = Listener::open(impl_->executor, address);
    if (!opened) {
        return opened.error();
    }
    for (auto& listener : *opened) {
        impl_->listeners.push_back(std::make_unique<Listener>(std::move(listener)));
    }
    return {};
}

std::vector<std::string> Server::addresses() const {
    std::vector<std::string> out;
    for (const auto& listener : impl_->listeners) {
        out.push_back(listener->address());
    }
    return out;
}

bool Server::is_public() const {
    return !std::all_of(impl_->listeners.begin(), impl_->listeners.end(),
                        [](const auto& listener) { return listener->is_loopback(); });
}

void Server::on_reload(api::ReloadConfig reload) {
    impl_->context->reload = std::move(reload);
}

void Server::on_regenerate(api::RegenerateConfig regenerate) {
    impl_->context->regenerate = std::move(regenerate);
}

void Server::start() {
    for (const auto& listener : impl_->listeners) {
        // The listener and this object outlive the task: stop() joins it.
        impl_->tasks.spawn("listener", listener->run([impl = impl_.get()](Socket s, std::string p) {
            impl->accepted(std::move(s), std::move(p));
        }));
    }
}

void Server::drain() {
    impl_->context->draining = true;
    for (const auto& listener : impl_->listeners) {
        listener->stop();
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
        spdlog::warn("{} connections did not end in time", impl_->context->sessions);
    }
}

std::size_t Server::sessions() const noexcept {
    return impl_->context->sessions;
}

}  // namespace corral::http
