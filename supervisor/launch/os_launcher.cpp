// The launcher for real processes: puts together environment, pipe, spawn, process table and ports.
// Main thread only; blocks no longer than a fork and an exec take.

#include "core/file.hpp"
#include "core/log.hpp"
#include "supervisor/launch/activity.hpp"
#include "supervisor/launch/cgroup.hpp"
#include "supervisor/launch/child_environment.hpp"
#include "supervisor/launch/gpu_memory.hpp"
#include "supervisor/launch/launcher.hpp"
#include "supervisor/launch/leftovers.hpp"
#include "supervisor/launch/memory_use.hpp"
#include "supervisor/launch/port_finder.hpp"
#include "supervisor/launch/port_owner.hpp"
#include "supervisor/launch/process_table.hpp"
#include "supervisor/launch/spawn.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

namespace asio = boost::asio;

/// Waits until the run has gone. Owns its run; the table may be destroyed meanwhile, which ends it.
asio::awaitable<ExitStatus> wait_until_gone(std::shared_ptr<Run> run) {
    while (run->stage != Run::Stage::gone) {
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        if (cancellation.cancelled() != asio::cancellation_type::none ||
            run->stage == Run::Stage::forgotten) {
            throw boost::system::system_error(asio::error::operation_aborted, "wait_exit");
        }
        co_await run->changed.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    co_return run->status;
}

class OsChild final : public Child {
public:
    OsChild(std::shared_ptr<ProcessTable> table, std::shared_ptr<Run> run) noexcept
        : table_(std::move(table)), run_(std::move(run)) {}
    ~OsChild() override {
        run_->pump->on_output({});
        table_->abandon(run_);
    }
    OsChild(const OsChild&) = delete;
    OsChild& operator=(const OsChild&) = delete;

    [[nodiscard]] pid_t pid() const noexcept override { return run_->main.pid; }
    [[nodiscard]] asio::awaitable<ExitStatus> wait_exit() override { return wait_until_gone(run_); }
    void terminate() noexcept override { table_->terminate(*run_); }
    void kill() noexcept override { table_->kill(*run_); }
    [[nodiscard]] Listener listener(std::uint16_t port) const override {
        return table_->listener_of(*run_, port);
    }
    [[nodiscard]] Listener listener_at(const std::string& path) const override {
        return table_->listener_of(*run_, path);
    }
    [[nodiscard]] std::string last_lines(std::size_t count) const override {
        return run_->pump->ring().last_lines(count);
    }
    [[nodiscard]] std::optional<std::uint64_t> activity() const override {
        const auto read = bytes_read_by_tree(run_->main.pid);
        return read ? std::optional(*read + run_->pump->ring().byte_count()) : std::nullopt;
    }
    void on_output(std::function<void()> heard) override {
        run_->pump->on_output(std::move(heard));
    }

private:
    std::shared_ptr<ProcessTable> table_;
    std::shared_ptr<Run> run_;
};

struct Pipe {
    int read = -1;
    int write = -1;
    Pipe() = default;
    ~Pipe() {
        for (const int fd : {read, write}) {
            if (fd >= 0) {
                ::close(fd);
            }
        }
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    /// 0 or an errno. Both ends close on exec and lie above 2, even where Corral was started with
    /// its own standard streams closed: dup2() of an equal descriptor would keep close-on-exec.
    int open() noexcept {
        int ends[2] = {-1, -1};
        if (::pipe2(ends, O_CLOEXEC) != 0) {
            return errno;
        }
        read = ::fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
        write = ::fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
        const int why = read < 0 || write < 0 ? errno : 0;
        ::close(ends[0]);
        ::close(ends[1]);
        return why;
    }
};

std::string random_token() {
    std::uint64_t words[2] = {};
    if (::getrandom(words, sizeof words, 0) != static_cast<ssize_t>(sizeof words)) {
        throw boost::system::system_error(errno, boost::system::system_category(), "getrandom");
    }
    return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

bool has_null_byte(const std::vector<std::string>& words) {
    return std::any_of(words.begin(), words.end(), [](const std::string& word) {
        return word.find('\0') != std::string::npos;
    });
}

std::optional<std::uint64_t> soft_descriptor_limit() noexcept {
    struct rlimit limit {};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::optional<std::uint64_t>(limit.rlim_cur)
                                                   : std::nullopt;
}

/// The child asked for these itself, so that nothing of it ever ran without; what the system
/// refused is seen from here.
void warn_of_refused(const LaunchSpec& spec, pid_t pid) {
    const auto warn = [&](std::string_view limit, int wanted) {
        spdlog::warn(
            "model={} pid={} limits.{}={} was refused by the system: it takes rights that "
            "Corral does not have",
            log::clean(spec.model), pid, limit, wanted);
    };
    errno = 0;
    const int nice = ::getpriority(PRIO_PROCESS, static_cast<id_t>(pid));
    if (spec.limits.nice && errno == 0 && nice != *spec.limits.nice) {
        warn("nice", *spec.limits.nice);
    }
    if (spec.limits.oom_score_adj) {
        const auto score = read_text_file(fmt::format("/proc/{}/oom_score_adj", pid), 64);
        if (score && std::atoi(score->c_str()) != *spec.limits.oom_score_adj) {
            warn("oomScoreAdj", *spec.limits.oom_score_adj);
        }
    }
}

class OsLauncher final : public Launcher {
public:
    OsLauncher(asio::any_io_executor executor, LauncherOptions options)
        : executor_(std::move(executor)),
          on_line_(std::move(options.on_line)),
          descriptors_(options.open_files != 0 ? options.open_files : soft_descriptor_limit()),
          table_(std::make_shared<ProcessTable>(executor_)),
          leftovers_(std::make_shared<LeftoverBook>(std::move(options.leftovers))) {}

    [[nodiscard]] Result<std::unique_ptr<Child>> launch(const LaunchSpec& spec) override;
    [[nodiscard]] Result<std::uint16_t> free_port(std::uint16_t preferred) override {
        return ports_->find(preferred, Clock::now());
    }
    void clear_socket_file(const std::string& path) override {
        if (remove_dead_socket_file(path)) {
            spdlog::info("removed the socket that a dead server left: {}", log::clean(path));
        }
    }
    [[nodiscard]] std::optional<std::uint64_t> gpu_memory_used() override {
        GpuMemory* gpus = find_gpus();
        return gpus != nullptr ? gpus->used() : std::nullopt;
    }
    [[nodiscard]] std::vector<GpuReading> gpu_readings() override {
        GpuMemory* gpus = find_gpus();
        return gpus != nullptr ? gpus->readings() : std::vector<GpuReading>();
    }

private:
    /// Null: there is none.
    [[nodiscard]] GpuMemory* find_gpus() {
        if (!gpus_looked_for_) {
            gpus_looked_for_ = true;
            gpus_ = make_gpu_memory();
        }
        return gpus_.get();
    }
    [[nodiscard]] Result<std::shared_ptr<Run>> start(const LaunchSpec& spec);
    [[nodiscard]] std::unique_ptr<Cgroup> make_cgroup();
    void remember(const LaunchSpec& spec, const Run& run);

    asio::any_io_executor executor_;
    OnOutputLine on_line_;
    std::optional<std::uint64_t> descriptors_;
    bool cgroups_looked_for_ = false;
    std::unique_ptr<CgroupHome> cgroups_;  // null: none was delegated to us
    bool gpus_looked_for_ = false;
    std::unique_ptr<GpuMemory> gpus_;  // null: there is none
    std::shared_ptr<ProcessTable> table_;
    std::shared_ptr<PortFinder> ports_ = std::make_shared<PortFinder>();
    std::shared_ptr<LeftoverBook> leftovers_;
};

Result<std::unique_ptr<Child>> OsLauncher::launch(const LaunchSpec& spec) {
    auto started = start(spec);
    if (!started) {
        ports_->give_back(spec.argv);
        ports_->give_back(spec.env);
        return std::move(started).error();
    }
    const auto run = *started;
    ports_->assign(spec.argv, run->main.pid);
    ports_->assign(spec.env, run->main.pid);
    table_->add(run, [ports = ports_, book = leftovers_, name = run->token](pid_t pid) {
        ports->release(pid);
        book->strike(name);
    });
    if (run->memory_limit != 0 && !run->cgroup) {
        table_->watch_memory(run);
    }
    return std::unique_ptr<Child>(std::make_unique<OsChild>(table_, run));
}

Result<std::shared_ptr<Run>> OsLauncher::start(const LaunchSpec& spec) {
    if (spec.argv.empty() || has_null_byte(spec.argv) || has_null_byte(spec.env)) {
        return Error(
            Errc::start_failed, Blame::upstream,
            "cannot start a process: cmd names no program, or cmd or env holds a NUL byte");
    }
    const std::string& program = spec.argv.front();
    auto run = std::make_shared<Run>(executor_, spec.model, random_token());
    SpawnRequest request;
    request.argv = spec.argv;
    request.environment = child_environment(environ, spec.env, run->token, spec.keys);
    auto file = find_program(program, environment_value(request.environment, "PATH"));
    if (!file) {
        return std::move(file).error();
    }
    request.file = *file;
    Pipe pipe;
    if (const int why = pipe.open(); why != 0) {
        return start_error(program, why, true);
    }
    request.output = pipe.write;
    request.nice = spec.limits.nice;
    request.oom_score_adj = spec.limits.oom_score_adj;
    request.descriptors = descriptors_;
    run->memory_limit = spec.limits.memory;
    run->oom_kills = oom_kills_so_far();
    run->cgroup = make_cgroup();
    if (run->cgroup && (run->memory_limit == 0 || run->cgroup->limit_memory(run->memory_limit))) {
        request.cgroup_procs = run->cgroup->procs();
    }
    run->pump =
        std::make_shared<OutputPump>(executor_, std::exchange(pipe.read, -1), spec.model, on_line_);
    remember(spec, *run);
    const auto made = spawn_process(request);
    if (made.pid <= 0) {
        leftovers_->strike(run->token);
        return start_error(program, made.error_number, true);
    }
    // Not reaped before the table does it, so it can always be read, even when it has ended
    // already.
    run->main = read_process(made.pid).value_or(ProcessInfo{});
    run->main.pid = made.pid;
    if (run->cgroup && !run->cgroup->holds(made.pid)) {
        run->cgroup.reset();
    }
    remember(spec, *run);
    warn_of_refused(spec, made.pid);
    run->pump->start();
    return run;
}

/// Before the process starts, so that no moment is without a note, and again with its number.
void OsLauncher::remember(const LaunchSpec& spec, const Run& run) {
    if (spec.stop.empty()) {
        return;
    }
    Leftover leftover;
    leftover.model = spec.model;
    leftover.stop = spec.stop;
    leftover.env = spec.env;
    leftover.pid = run.main.pid;
    leftover.start_ticks = run.main.start_ticks;
    leftover.boot = boot_id();
    leftovers_->note(run.token, leftover);
}

std::unique_ptr<Cgroup> OsLauncher::make_cgroup() {
    if (!cgroups_looked_for_) {
        cgroups_looked_for_ = true;
        cgroups_ = CgroupHome::open("", is_delegated_by_systemd);
        if (cgroups_) {
            spdlog::info("each model gets a cgroup of its own");
        }
    }
    return cgroups_ ? cgroups_->make() : nullptr;
}

}  // namespace

std::unique_ptr<Launcher> make_os_launcher(asio::any_io_executor executor,
                                           LauncherOptions options) {
    return std::make_unique<OsLauncher>(std::move(executor), std::move(options));
}

}  // namespace corral
