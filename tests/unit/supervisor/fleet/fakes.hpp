#pragma once
// Processes and probes that do what a test says, and a stage on which a Fleet plays with them. No
// real process, no socket; the loop is run by hand until something holds, with a deadline.

#include "supervisor/fleet/fleet.hpp"
#include "supervisor/fleet/wakeup.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace corral::test {

namespace asio = boost::asio;

/// A process as the test sees it; the Child that the fleet holds is only a handle on it.
struct FakeProcess {
    explicit FakeProcess(const asio::any_io_executor& executor) : exited(executor) {}
    LaunchSpec spec;
    pid_t pid = 0;
    bool ignores_term = false;
    bool ignores_kill = false;
    bool terminated = false;
    bool killed = false;
    bool dropped = false;  ///< the fleet has let its Child go
    std::optional<ExitStatus> status;
    std::string lines;
    Listener listener;
    std::optional<std::uint64_t> activity;
    Wakeup exited;

    std::function<void()> heard;  ///< call it: the process has written something

    void exit(ExitStatus how, std::string last = "") {
        if (!status) {
            if (!last.empty()) {
                lines = std::move(last);
            }
            status = how;
            exited.notify_all();
        }
    }
};

class FakeChild final : public Child {
public:
    explicit FakeChild(std::shared_ptr<FakeProcess> process) : process_(std::move(process)) {}
    ~FakeChild() override {
        process_->dropped = true;
        process_->exit({true, SIGKILL});
    }
    pid_t pid() const noexcept override { return process_->pid; }
    asio::awaitable<ExitStatus> wait_exit() override { return wait(process_); }
    void terminate() noexcept override {
        process_->terminated = true;
        if (!process_->ignores_term) {
            process_->exit({true, SIGTERM});
        }
    }
    void kill() noexcept override {
        process_->killed = true;
        if (!process_->ignores_kill) {
            process_->exit({true, SIGKILL});
        }
    }
    std::string last_lines(std::size_t) const override { return process_->lines; }
    Listener listener(std::uint16_t) const override { return process_->listener; }
    Listener listener_at(const std::string&) const override { return process_->listener; }
    std::optional<std::uint64_t> activity() const override { return process_->activity; }
    void on_output(std::function<void()> heard) override { process_->heard = std::move(heard); }

private:
    static asio::awaitable<ExitStatus> wait(std::shared_ptr<FakeProcess> process) {
        while (!process->status) {
            const Woken woken = co_await process->exited.wait(TimePoint::max());
            if (woken == Woken::cancelled) {
                throw boost::system::system_error(asio::error::operation_aborted);
            }
        }
        const ExitStatus status = *process->status;
        co_return status;
    }
    std::shared_ptr<FakeProcess> process_;
};

class FakeLauncher final : public Launcher {
public:
    explicit FakeLauncher(asio::any_io_executor executor) : executor_(std::move(executor)) {}
    Result<std::unique_ptr<Child>> launch(const LaunchSpec& spec) override {
        if (refuse) {
            return *refuse;
        }
        auto process = std::make_shared<FakeProcess>(executor_);
        process->spec = spec;
        process->pid = static_cast<pid_t>(1000 + processes.size());
        processes.push_back(process);
        if (on_launch) {
            on_launch(*process);
        }
        return std::unique_ptr<Child>(std::make_unique<FakeChild>(process));
    }
    Result<std::uint16_t> free_port(std::uint16_t preferred) override {
        asked_ports.push_back(preferred);
        return preferred != 0 ? preferred : std::uint16_t{40'000};
    }

    std::optional<std::uint64_t> gpu_memory_used() override { return gpu_memory; }
    void clear_socket_file(const std::string& path) override { cleared.push_back(path); }

    std::optional<std::uint64_t> gpu_memory;
    std::vector<std::shared_ptr<FakeProcess>> processes;
    std::vector<std::uint16_t> asked_ports;
    std::vector<std::string> cleared;
    std::optional<Error> refuse;
    std::function<void(FakeProcess&)> on_launch;

private:
    asio::any_io_executor executor_;
};

class FakeProber final : public Prober {
public:
    enum class Answer : std::uint8_t { yes, no, hang, raise };
    explicit FakeProber(const asio::any_io_executor& executor) : never_(executor) {}
    asio::awaitable<bool> ready(Endpoint endpoint, std::string path, Duration timeout) override {
        asked.push_back(endpoint.authority() + path);
        timeouts.push_back(timeout);
        const Answer now = answer;
        if (now == Answer::raise) {
            throw std::runtime_error("a prober must not throw");
        }
        if (now == Answer::hang) {
            ++hanging;
            const Woken woken = co_await never_.wait(TimePoint::max());
            --hanging;
            co_return woken == Woken::notified;
        }
        co_return now == Answer::yes;
    }
    Answer answer = Answer::yes;
    int hanging = 0;
    std::vector<std::string> asked;
    std::vector<Duration> timeouts;

private:
    Wakeup never_;
};

inline ModelConfig model(const std::string& id) {
    ModelConfig out;
    out.id = ModelId(id);
    out.argv = {"server", "--port", "${PORT}", "--name", id};
    out.port = static_cast<std::uint16_t>(5800 + id.back());
    out.unload_timeout = std::chrono::seconds(5);
    out.health_check_timeout = std::chrono::seconds(30);
    return out;
}

inline std::shared_ptr<Config> config_of(std::vector<ModelConfig> models) {
    auto out = std::make_shared<Config>();
    out->models = std::move(models);
    return out;
}

/// An acquire() in flight.
struct Pending {
    std::optional<Result<Lease>> result;
    bool begun = false;
    bool threw = false;
    asio::cancellation_signal signal;
    [[nodiscard]] bool granted() const { return result && result->has_value(); }
    [[nodiscard]] bool refused(Errc code) const {
        return result && result->has_error() && result->error().is(code);
    }
    [[nodiscard]] std::string detail() const {
        return result && result->has_error() ? result->error().detail : "";
    }
};

class Stage {
public:
    explicit Stage(std::shared_ptr<const Config> config)
        : launcher(io.get_executor()), prober(io.get_executor()) {
        fleet.emplace(io.get_executor(), launcher, prober, std::move(config));
    }

    std::shared_ptr<Pending> acquire(const std::string& id,
                                     TimePoint deadline = Clock::now() + std::chrono::hours(1)) {
        auto pending = std::make_shared<Pending>();
        asio::co_spawn(io, wait_lease(*fleet, ModelId(id), deadline, pending),
                       asio::bind_cancellation_slot(pending->signal.slot(),
                                                    [pending](const std::exception_ptr& escaped) {
                                                        pending->threw = escaped != nullptr;
                                                    }));
        // Cancelled before its first piece ran, a coroutine of Boost 1.83 throws out of the loop.
        // TaskGroup never lets that happen, and neither does this stage.
        while (!pending->begun) {
            io.restart();
            io.poll_one();
        }
        return pending;
    }
    /// Runs a coroutine; the flag is set when it has ended.
    std::shared_ptr<bool> start(asio::awaitable<void> task) {
        auto done = std::make_shared<bool>(false);
        asio::co_spawn(io, std::move(task),
                       [done](const std::exception_ptr& escaped) { *done = escaped == nullptr; });
        return done;
    }
    /// Runs the loop until it holds; false after ten seconds.
    bool until(const std::function<bool()>& holds) {
        const TimePoint deadline = Clock::now() + std::chrono::seconds(10);
        io.restart();
        while (!holds() && Clock::now() < deadline) {
            io.restart();
            io.run_one_for(std::chrono::milliseconds(20));
        }
        return holds();
    }
    /// Runs what can run now.
    void settle() {
        io.restart();
        while (io.poll() != 0) {
            io.restart();
        }
    }
    std::shared_ptr<Pending> lease(const std::string& id) {
        auto pending = acquire(id);
        until([&] { return pending->result.has_value(); });
        return pending;
    }
    [[nodiscard]] ModelStatus status(const std::string& id) const {
        for (const ModelStatus& status : fleet->models()) {
            if (status.id == ModelId(id)) {
                return status;
            }
        }
        throw std::logic_error("no such model: " + id);
    }
    [[nodiscard]] ProcessState state(const std::string& id) const { return status(id).state; }
    [[nodiscard]] FakeProcess& process(std::size_t index) { return *launcher.processes.at(index); }
    [[nodiscard]] FakeProcess& last() { return *launcher.processes.back(); }

    asio::io_context io;
    FakeLauncher launcher;
    FakeProber prober;
    std::optional<Fleet> fleet;

private:
    static asio::awaitable<void> wait_lease(Fleet& fleet, ModelId id, TimePoint deadline,
                                            std::shared_ptr<Pending> pending) {
        pending->begun = true;
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        Result<Lease> result = co_await fleet.acquire(std::move(id), deadline);
        pending->result.emplace(std::move(result));
    }
};

}  // namespace corral::test
