#include "app/serve.hpp"

#include "app/config_source.hpp"
#include "app/config_watch.hpp"
#include "app/logs.hpp"
#include "app/notify.hpp"
#include "app/open_files.hpp"
#include "app/paths.hpp"
#include "app/regenerator.hpp"
#include "app/reloader.hpp"
#include "app/signals.hpp"
#include "app/welcome.hpp"
#include "core/listen_address.hpp"
#include "core/log.hpp"
#include "proxy/http/server.hpp"
#include "proxy/http/tls_server.hpp"
#include "proxy/upstream/prober.hpp"
#include "supervisor/fleet/fleet.hpp"
#include "supervisor/fleet/task_group.hpp"
#include "supervisor/launch/guard.hpp"
#include "supervisor/launch/launcher.hpp"
#include "supervisor/launch/leftovers.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace corral {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
constexpr auto as_values = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view default_address = "127.0.0.1:8091";
/// After the drain: sessions that are cut, and the last descendants, get this long to vanish.
constexpr Duration last_act{5'000};
/// How long a line of the log may wait for the next one, so that both leave in one write.
constexpr Duration log_patience{5};

/// The running program: every room, wired together. Tasks borrow `this`: they end before it does.
class App {
public:
    App(ConfigSource source, std::shared_ptr<const Config> config, int guard_fd, OpenFiles files)
        : source_(std::move(source)),
          logs_(config),
          launcher_(make_os_launcher(loop_.get_executor(), launcher_options(files))),
          prober_(make_http_prober()),
          fleet_(loop_.get_executor(), *launcher_, *prober_, std::move(config)),
          reloader_(source_, fleet_),
          regenerator_(loop_.get_executor(), source_, [this] { return reload(ReloadCause::scan); }),
          server_(loop_.get_executor(), fleet_, logs_.book()),
          tasks_(loop_.get_executor()),
          signals_(loop_.get_executor(), {SIGTERM, SIGINT, SIGHUP}),
          guard_(loop_.get_executor()) {
        if (guard_fd >= 0) {
            guard_.assign(guard_fd);
        }
        server_.on_reload([this] { return reload(ReloadCause::request); });
        server_.on_regenerate([this] { return regenerator_.regenerate(); });
        server_.on_gpus([this] { return launcher_->gpu_readings(); });
        log::defer([this] { flush_log_soon(); });
    }
    ~App() { log::defer(nullptr); }
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// Reloads by itself when the config's files change.
    void watch_config() {
        watch_.emplace(loop_.get_executor(), [this] { return watched_files(); });
        tasks_.spawn("config watch", watch_->run([this] { reload(ReloadCause::file); }));
    }

    /// Binds every address and takes the sockets that were passed; an error names the one that is
    /// busy.
    Result<void> listen(const ServeOptions& options) {
        const auto config = fleet_.config();
        const TlsFiles& files = options.tls.certificate.empty() ? config->tls : options.tls;
        if (!files.certificate.empty()) {
            auto tls = http::TlsServer::load({files.certificate, files.key});
            if (!tls) {
                return tls.error();
            }
            if (tls->is_expired()) {
                spdlog::warn("the TLS certificate has expired on {}", tls->valid_until());
            }
            server_.use_tls(std::move(*tls));
        }
        const auto passed = notify::passed_sockets();
        auto addresses = options.listen.empty() ? config->listen : options.listen;
        if (addresses.empty() && passed.empty()) {
            addresses.emplace_back(default_address);
        }
        std::vector<ListenAddress> parsed;
        for (const auto& address : addresses) {
            auto one = parse_listen_address(address);
            if (!one) {
                return one.error();
            }
            parsed.push_back(std::move(*one));
        }
        for (const auto& socket : passed) {
            if (auto done = server_.adopt(socket.descriptor, "the socket \"" + socket.name + '"');
                !done) {
                return done;
            }
        }
        return server_.listen(parsed);
    }

    int run() {
        server_.start();
        tasks_.spawn("signals", watch_signals());
        tasks_.spawn("guard", watch_guard());
        tasks_.spawn("watchdog", feed_watchdog());
        tasks_.spawn("model watch",
                     regenerator_.watch([this] { return fleet_.config()->discovery; }));
        for (const auto& name : fleet_.config()->preload) {
            tasks_.spawn("preload", preload(name));
        }
        announce();
        loop_.run();
        return status_;
    }

private:
    LauncherOptions launcher_options(const OpenFiles& files) {
        LauncherOptions out;
        out.leftovers = leftovers_directory(process_environment());
        out.open_files = files.before;
        out.on_line = [this](std::string_view model, std::string_view line) {
            logs_.add_output(model, line);
        };
        return out;
    }

    void announce() {
        const auto config = fleet_.config();
        for (const auto& address : server_.addresses()) {
            spdlog::info("listening on {}", address);
        }
        if (server_.is_public() && config->api_keys.empty()) {
            spdlog::warn(
                "everyone who can reach this machine can use its models: set `apiKeys:` in the "
                "config or listen on 127.0.0.1 only");
        }
        if (!notify::logs_to_journal()) {
            std::fputs(welcome(*config, best_address()).c_str(), stdout);
            std::fflush(stdout);
        }
        notify::ready(reloader_.status());
    }

    /// One that a browser can use, too, if there is one.
    std::string best_address() const {
        const auto all = server_.addresses();
        const auto http = std::find_if(all.begin(), all.end(), [](const std::string& address) {
            return address.starts_with("http");
        });
        return http != all.end() ? *http : all.front();
    }

    void flush_log_soon() {
        log_timer_.expires_after(log_patience);
        log_timer_.async_wait([](boost::system::error_code) { log::flush(); });
    }

    asio::awaitable<void> watch_signals() {
        EndRequests end(guard_.is_open() ? getppid() : 0);
        while (true) {
            const auto event = co_await signals_.next();
            if (!event) {
                co_return;
            }
            if (event->number == SIGHUP) {
                reload(ReloadCause::signal);
                continue;
            }
            const int asked = end.count(*event);
            if (asked > 1) {
                end_now("second signal: ending at once");
            } else if (!stopping_) {
                stopping_ = true;
                spdlog::info("{}: finishing the requests in flight; once more ends them",
                             event->number == SIGINT ? "SIGINT" : "SIGTERM");
                tasks_.spawn("shutdown", shut_down(fleet_.config()->limits.shutdown_grace));
            }
        }
    }

    /// The guard holds the other end of a pipe: its end means that nobody would clean up after us.
    asio::awaitable<void> watch_guard() {
        if (guard_.is_open()) {
            const auto [ec] =
                co_await guard_.async_wait(asio::posix::stream_descriptor::wait_read, as_values);
            if (!ec) {
                end_now("the guard has died: ending every model");
            }
        }
    }

    asio::awaitable<void> feed_watchdog() {
        const auto every = notify::watchdog_interval();
        asio::steady_timer timer(loop_);
        while (every) {
            notify::alive();
            timer.expires_after(*every);
            const auto [ec] = co_await timer.async_wait(as_values);
            if (ec) {
                co_return;
            }
        }
    }

    asio::awaitable<void> preload(std::string name) {
        const auto config = fleet_.config();
        const ModelConfig* model = config->find(name);
        if (model == nullptr) {
            co_return;  // the loader has warned
        }
        const auto lease = co_await fleet_.acquire(model->id, TimePoint::max());
        if (!lease && !lease.error().is(Errc::shutting_down)) {
            spdlog::error("preload of {} failed: {}", log::clean(name), lease.error().detail);
        }
    }

    api::ReloadReport reload(ReloadCause cause) {
        api::ReloadReport report;
        if (!stopping_) {
            server_.reload_tls();
            const DiscoveryConfig before = fleet_.config()->discovery;
            report = reloader_.reload(cause);
            logs_.adopt(fleet_.config());
            if (fleet_.config()->discovery != before) {
                regenerator_.settings_changed();
            }
            return report;
        }
        report.error = Error(Errc::shutting_down, Blame::internal, "Corral is shutting down.");
        return report;
    }

    /// What a scan found instead of a config gives way to the first config that appears.
    std::vector<std::filesystem::path> watched_files() const {
        auto files = source_.inputs();
        return files.empty() ? config_candidates(process_environment()) : files;
    }

    asio::awaitable<void> shut_down(Duration grace) {
        notify::stopping();
        server_.drain();
        // A process that even SIGKILL does not end must not keep us: the guard takes over then.
        asio::steady_timer patience(loop_, grace + longest_stop() + last_act);
        const TimePoint drained_by = Clock::now() + grace;
        co_await (fleet_.close(grace) || patience.async_wait(as_values));
        co_await server_.peers_served(drained_by);
        co_await server_.stop(Clock::now() + last_act);
        spdlog::info("shutdown complete");
        loop_.stop();
    }

    Duration longest_stop() const {
        Duration longest{0};
        for (const auto& model : fleet_.config()->models) {
            longest =
                std::max<Duration>(longest, model.unload_timeout + model.stop_commands_timeout());
        }
        return longest;
    }

    /// No drain: what runs below this process dies with the loop.
    void end_now(const char* why) {
        spdlog::warn("{}", why);
        status_ = 1;
        loop_.stop();
    }

    asio::io_context loop_{1};
    asio::steady_timer log_timer_{loop_};
    ConfigSource source_;
    Logs logs_;
    std::unique_ptr<Launcher> launcher_;
    std::unique_ptr<Prober> prober_;
    Fleet fleet_;
    Reloader reloader_;
    Regenerator regenerator_;
    std::optional<ConfigWatch> watch_;
    http::Server server_;
    TaskGroup tasks_;
    SignalSource signals_;
    asio::posix::stream_descriptor guard_;
    bool stopping_ = false;
    int status_ = 0;
};

/// Who reaches the limit of descriptors waits without an answer: better to know beforehand.
void tell_scarce_files(const OpenFiles& files, const Limits& limits) {
    constexpr std::uint64_t others = 64;
    if (files.now != 0 && files.now < limits.connections + others) {
        spdlog::info(
            "{} files may be open, fewer than limits.connections ({}): new clients wait "
            "when they run out (LimitNOFILE, ulimit -Hn)",
            files.now, limits.connections);
    }
}

}  // namespace

int serve(const ServeOptions& options, int guard_fd) {
    std::signal(SIGPIPE, SIG_IGN);
    log::setup(LogLevel::info, notify::logs_to_journal());
    const OpenFiles files = raise_open_files();
    ConfigSource source(options.config);
    auto config = source.load();
    source.print_diagnostics();
    if (!config) {
        spdlog::error("{}", config.error().detail);
        return 1;
    }
    log::set_level((*config)->log_level);
    stop_leftovers(leftovers_directory(process_environment()), leftovers_timeout_ms,
                   [](const std::string& text) { spdlog::warn("{}", text); });
    tell_scarce_files(files, (*config)->limits);
    int status = 1;
    {
        App app(std::move(source), std::move(*config), guard_fd, files);
        if (options.watch_config) {
            app.watch_config();
        }
        if (auto done = app.listen(options); !done) {
            spdlog::error("{}", done.error().detail);
            return 1;
        }
        status = app.run();
    }
    if (guard_fd < 0) {  // with a guard, run_guarded does this
        kill_all_descendants(static_cast<int>(last_act.count()));
    }
    return status;
}

}  // namespace corral
