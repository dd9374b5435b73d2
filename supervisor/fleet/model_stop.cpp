// How a model's process is told to end, and the commands that run beside it: its stop command and
// its hooks. Each has a time-out and is killed then; what goes wrong with one is a warning.
#include "core/log.hpp"
#include "supervisor/fleet/model_process.hpp"
#include "supervisor/fleet/model_run.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <exception>
#include <utility>

namespace corral {

namespace asio = boost::asio;

namespace {

asio::awaitable<ExitStatus> exit_of(Child& child) {
    const ExitStatus status = co_await child.wait_exit();
    co_return status;
}

}  // namespace

void ModelProcess::terminate() {
    if (!run_ || run_->stopping) {
        return;
    }
    run_->gpu_memory.at_stop(launcher_.gpu_memory_used());
    const bool has_hook = was_ready_ && !model_->hooks.before_stop.empty();
    if (!has_hook && model_->cmd_stop.empty()) {
        run_->child->terminate();
        return;
    }
    run_->stopping = true;
    tasks_.spawn("stop commands " + id_.str(),
                 run_stop_commands(shared_from_this(), run_, has_hook));
}

asio::awaitable<void> ModelProcess::run_stop_commands(Self self, RunPtr run, bool has_hook) {
    std::string broken;
    try {
        co_await stop_commands(self, run, has_hook);
    } catch (const std::exception& error) {
        broken = error.what();
    }
    if (!broken.empty() && !self->abandoned_) {
        self->warn_of_command(*run, "cmdStop", broken);
        run->child->terminate();
    }
    self->end_stop_commands(run);
}

/// The hook, then the stop command; without one, or when it fails, SIGTERM.
asio::awaitable<void> ModelProcess::stop_commands(Self self, RunPtr run, bool has_hook) {
    const ModelConfig& model = *self->model_;  // stays: config_ is only changed for an equal one
    const std::shared_ptr<const Config> keeps = self->config_;
    if (has_hook && !self->abandoned_) {
        const LaunchSpec spec = self->spec_for(model.hooks.before_stop, *run);
        const std::string failure = co_await run_command(self, run, spec, model.hooks.timeout);
        self->warn_of_command(*run, "hooks.beforeStop", failure);
    }
    if (run->ended || self->abandoned_) {
        co_return;
    }
    if (!model.cmd_stop.empty()) {
        const bool own = model.cmd_stop_timeout > Duration::zero();
        const Duration patience = own ? model.cmd_stop_timeout : Duration(model.unload_timeout);
        const LaunchSpec spec = self->spec_for(model.cmd_stop, *run);
        const std::string failure = co_await run_command(self, run, spec, patience);
        self->warn_of_command(*run, "cmdStop", failure);
        if (failure.empty() || run->ended) {
            co_return;
        }
    }
    run->child->terminate();
}

/// From here on the process has its grace; or it is gone, and may be known to be.
void ModelProcess::end_stop_commands(const RunPtr& run) {
    run->stopping = false;
    if (run != run_ || abandoned_) {
        return;
    }
    if (run->held_exit) {
        on_exit(run, *run->held_exit);
    } else {
        feed(GraceBegins{});
    }
}

/// Why it failed; empty when it did not.
asio::awaitable<std::string> ModelProcess::run_command(Self self, RunPtr run, LaunchSpec spec,
                                                       Duration patience) {
    using namespace asio::experimental::awaitable_operators;
    Result<std::unique_ptr<Child>> launched = self->launcher_.launch(spec);
    if (!launched) {
        std::string why = launched.error().detail;
        co_return why;
    }
    const std::unique_ptr<Child> command = std::move(*launched);
    const TimePoint deadline = Clock::now() + patience;
    const auto first = co_await (exit_of(*command) || run->enough.wait(deadline));
    if (first.index() != 0) {
        command->kill();
        const std::string late("it did not end in time and was killed");
        co_return late;
    }
    const ExitStatus status = std::get<0>(first);
    std::string how = status == ExitStatus() ? std::string() : status.describe();
    co_return how;
}

asio::awaitable<void> ModelProcess::run_hook(Self self, RunPtr run, std::string name,
                                             std::vector<std::string> words, Duration patience) {
    if (self->abandoned_) {
        co_return;
    }
    const LaunchSpec spec = self->spec_for(words, *run);
    const std::string failure = co_await run_command(self, run, spec, patience);
    self->warn_of_command(*run, name, failure);
}

void ModelProcess::start_hook(const RunPtr& run, std::string name,
                              const std::vector<std::string>& words) {
    if (run && !words.empty()) {
        tasks_.spawn(name + " " + id_.str(), run_hook(shared_from_this(), run, "hooks." + name,
                                                      words, model_->hooks.timeout));
    }
}

void ModelProcess::warn_of_command(const Run& run, std::string_view name,
                                   std::string_view failure) const {
    if (!failure.empty()) {
        spdlog::warn("model={} pid={} {} failed: {}", log::clean(id_.str()), run.child->pid(), name,
                     log::clean(failure));
    }
}

}  // namespace corral
