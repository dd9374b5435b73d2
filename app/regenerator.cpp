#include "app/regenerator.hpp"

#include "core/log.hpp"
#include "core/time.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

extern char** environ;

namespace corral {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

constexpr Duration scan_time_max{600'000};
constexpr Duration restart_pause{10'000};
constexpr std::size_t document_bytes_max = 64U << 20;  // 10,000 models take some 10 MB

/// A running `corral scan` and what it prints. It ends with this object.
class ScanProcess {
public:
    ScanProcess(const asio::any_io_executor& executor, std::vector<std::string> words)
        : output_(executor) {
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
            failure_ = errno;
            return;
        }
        output_.assign(ends[0]);
        failure_ = start(ends[1], std::move(words));
        ::close(ends[1]);
    }
    ScanProcess(const ScanProcess&) = delete;
    ScanProcess& operator=(const ScanProcess&) = delete;
    ~ScanProcess() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
            }
        }
    }

    /// 0, or why it did not start.
    [[nodiscard]] int failure() const noexcept { return failure_; }
    [[nodiscard]] asio::posix::stream_descriptor& output() noexcept { return output_; }

private:
    int start(int output, std::vector<std::string> words) {
        std::vector<char*> argv;
        argv.reserve(words.size() + 1);
        for (std::string& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        sigset_t signals;
        ::sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes, &signals);
        ::sigaddset(&signals, SIGPIPE);  // that the server ignores
        ::posix_spawnattr_setsigdefault(&attributes, &signals);
        // A group of its own: what a terminal's Ctrl-C means for it is the server's to say.
        ::posix_spawnattr_setpgroup(&attributes, 0);
        ::posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        const int error =
            ::posix_spawn(&pid_, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
        if (error != 0) {
            pid_ = -1;
        }
        return error;
    }

    asio::posix::stream_descriptor output_;
    pid_t pid_ = -1;
    int failure_ = 0;
};

/// One line of a scan's --json.
struct ScanLine {
    std::string error;    ///< empty: it went well
    std::string changes;  ///< a JSON object
    bool changed = false;
};

ScanLine read_line(std::string_view text) {
    ScanLine line;
    const auto document = nlohmann::json::parse(text, nullptr, false);
    if (!document.is_object()) {
        line.error = "the scan ended without an answer";
    } else if (const auto error = document.find("error"); error != document.end()) {
        line.error = error->is_string() ? error->get<std::string>() : error->dump();
    } else {
        line.changed = document.value("changed", false);
        line.changes = document.value("changes", nlohmann::json::object()).dump();
    }
    return line;
}

}  // namespace

Regenerator::Regenerator(asio::any_io_executor executor, const ConfigSource& source, Reload reload)
    : executor_(executor),
      source_(source),
      reload_(std::move(reload)),
      finished_(executor, TimePoint::max()),
      poke_(executor, TimePoint::max()) {}

asio::awaitable<api::RegenerateReport> Regenerator::regenerate() {
    if (under_way_) {
        const std::shared_ptr<api::RegenerateReport> report = under_way_;
        static_cast<void>(co_await finished_.async_wait(as_values));
        co_return *report;
    }
    under_way_ = std::make_shared<api::RegenerateReport>();
    const std::shared_ptr<api::RegenerateReport> report = under_way_;
    // Also when the one who asked has left: who waits for the same must not wait for ever.
    const auto end = [this](void*) {
        under_way_.reset();
        finished_.cancel();
    };
    const std::unique_ptr<Regenerator, decltype(end)> at_the_end(this, end);
    report->error = Error(Errc::internal, Blame::internal, "the scan was broken off");
    *report = co_await scan_once();
    co_return *report;
}

asio::awaitable<api::RegenerateReport> Regenerator::scan_once() {
    api::RegenerateReport report;
    const Result<std::string> file = source_.renewable_file();
    if (!file) {
        report.error = file.error();
        co_return report;
    }
    if (file->empty()) {  // no file: the reload itself scans
        report.changes = "{}";
        report.reload = reload_();
        co_return report;
    }
    ScanProcess scan(executor_, {"corral", "scan", "--json", "--output", *file});
    if (scan.failure() != 0) {
        report.error =
            Error(Errc::internal, Blame::internal,
                  std::string("the scan cannot start: ") + std::strerror(scan.failure()));
        co_return report;
    }
    std::string text;
    asio::steady_timer patience(executor_, scan_time_max);
    auto buffer = asio::dynamic_buffer(text, document_bytes_max);
    const auto first = co_await (asio::async_read(scan.output(), buffer, as_values) ||
                                 patience.async_wait(as_values));
    if (first.index() != 0) {
        report.error = Error(Errc::internal, Blame::internal, "the scan takes too long");
        co_return report;
    }
    ScanLine line = read_line(text);
    if (!line.error.empty()) {
        report.error = Error(Errc::invalid_config, Blame::internal, line.error);
        spdlog::warn("the config was not renewed: {}", log::clean(line.error));
        co_return report;
    }
    report.changes = std::move(line.changes);
    report.reload = reload_();
    co_return report;
}

void Regenerator::settings_changed() {
    poke_.cancel();
}

asio::awaitable<void> Regenerator::watch(std::function<DiscoveryConfig()> settings) {
    while (true) {
        const DiscoveryConfig now = settings();
        const Result<std::string> file = source_.renewable_file();
        bool on = now.watch && file.has_value();
        on = on && !file->empty();
        bool ended = false;
        if (on) {
            const auto first = co_await (watch_files(*file) || poke_.async_wait(as_values));
            ended = first.index() == 0;
        } else {
            const auto [poked] = co_await poke_.async_wait(as_values);
            ended = !poked;
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
            co_return;
        }
        if (ended) {
            spdlog::warn("the watch of the model directories has ended; it begins again soon");
            asio::steady_timer pause(executor_, restart_pause);
            const auto [waited] = co_await pause.async_wait(as_values);
            if (waited) {
                co_return;
            }
        }
    }
}

/// Until the process ends.
asio::awaitable<void> Regenerator::watch_files(std::string file) {
    ScanProcess scan(executor_,
                     {"corral", "scan", "--watch", "--json", "--output", std::move(file)});
    std::string text;
    while (scan.failure() == 0) {
        auto buffer = asio::dynamic_buffer(text, document_bytes_max);
        const auto [error, length] =
            co_await asio::async_read_until(scan.output(), buffer, '\n', as_values);
        if (error) {
            co_return;
        }
        take(text.substr(0, length));
        text.erase(0, length);
    }
}

void Regenerator::take(const std::string& text) {
    const ScanLine line = read_line(text);
    if (!line.error.empty()) {
        spdlog::warn("the config was not renewed: {}", log::clean(line.error));
    } else if (line.changed) {
        spdlog::info("model files came or went: {}", log::clean(line.changes));
        reload_();
    }
}

}  // namespace corral
