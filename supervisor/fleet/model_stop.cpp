// How a model's process is told to end.
#include "core/log.hpp"
#include "supervisor/fleet/model_process.hpp"
#include "supervisor/fleet/model_run.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

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
    if (!run_) {
        return;
    }
    run_->gpu_memory.at_stop(launcher_.gpu_memory_used());
    if (model_->cmd_stop.empty()) {
        run_->child->terminate();
        return;
    }
    tasks_.spawn("stop command " + id_.str(),
                 run_stop_command(shared_from_this(), run_, stop_grace_));
}

/// The stop command gets the time that the process has. When it fails, SIGTERM takes its place.
asio::awaitable<void> ModelProcess::run_stop_command(Self self, RunPtr run, Duration patience) {
    using namespace asio::experimental::awaitable_operators;
    if (run->ended || self->abandoned_) {
        co_return;
    }
    const LaunchSpec spec = self->spec_for(self->model_->cmd_stop, *run);
    Result<std::unique_ptr<Child>> launched = self->launcher_.launch(spec);
    std::string failure;
    if (launched) {
        const std::unique_ptr<Child> command = std::move(*launched);
        Wakeup nobody(self->executor_);
        const TimePoint deadline = Clock::now() + patience;
        const auto first = co_await (exit_of(*command) || nobody.wait(deadline));
        if (first.index() != 0) {
            command->kill();
            failure = "it did not end in time and was killed";
        } else if (std::get<0>(first) != ExitStatus()) {
            failure = std::get<0>(first).describe();
        }
    } else {
        failure = launched.error().detail;
    }
    if (!failure.empty()) {
        spdlog::warn("model={} pid={} cmdStop failed: {}", log::clean(self->id_.str()),
                     run->child->pid(), log::clean(failure));
        if (!run->ended) {
            run->child->terminate();
        }
    }
}
}  // namespace corral
