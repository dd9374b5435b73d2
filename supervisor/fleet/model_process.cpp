// Carries out what one model's ProcessFsm decides: the machine, launching and the end of a process.
// Asking whether it is ready, stopping it and telling of it have files of their own (model_*.cpp).
#include "supervisor/fleet/model_process.hpp"

#include "core/config_difference.hpp"
#include "core/log.hpp"
#include "supervisor/fleet/failure_text.hpp"
#include "supervisor/fleet/model_run.hpp"
#include "supervisor/fleet/raised.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <utility>
#include <variant>

namespace corral {

namespace asio = boost::asio;

namespace {

bool uses_port(const ModelConfig& model) {
    const auto mentions = [](const std::string& word) {
        return word.find("${PORT}") != std::string::npos;
    };
    return std::any_of(model.argv.begin(), model.argv.end(), mentions) ||
           std::any_of(model.env.begin(), model.env.end(), mentions);
}

}  // namespace

ModelProcess::ModelProcess(asio::any_io_executor executor, Launcher& launcher, Prober& prober,
                           TaskGroup& tasks, ModelId id, OnNews on_news)
    : executor_(std::move(executor)),
      launcher_(launcher),
      prober_(prober),
      tasks_(tasks),
      id_(std::move(id)),
      on_news_(std::move(on_news)),
      timer_(executor_) {}

ModelProcess::~ModelProcess() = default;

pid_t ModelProcess::pid() const noexcept {
    return run_ ? run_->child->pid() : 0;
}
std::uint16_t ModelProcess::port() const noexcept {
    return run_ ? run_->port : std::uint16_t{0};
}
const std::shared_ptr<const Endpoint>& ModelProcess::endpoint() const noexcept {
    return endpoint_;
}

Duration ModelProcess::grace() const noexcept {
    return model_ != nullptr ? Duration(model_->unload_timeout) : Duration::zero();
}

Duration ModelProcess::since(TimePoint then) const {
    return std::chrono::duration_cast<Duration>(Clock::now() - then);
}

void ModelProcess::start(std::shared_ptr<const Config> config, Generation generation) {
    config_ = std::move(config);
    model_ = config_->find_id(id_);
    generation_ = generation;
    started_ = Clock::now();
    stop_reason_.reset();
    was_ready_ = false;
    feed(WantUp{model_->health_check_timeout, model_->unload_timeout, !model_->cmd_stop.empty(),
                model_->stop_commands_timeout()});
}

void ModelProcess::adopt(const std::shared_ptr<const Config>& config) {
    const ModelConfig* now = config->find_id(id_);
    if (model_ == nullptr || now == nullptr || !same_process(*model_, *now)) {
        return;
    }
    config_ = config;
    model_ = now;
    if (run_) {
        run_->check_path = check_path_of(*run_);
    }
}

void ModelProcess::stop(StopReason reason, Duration grace) {
    stop_reason_ = reason;
    const Duration commands = model_ != nullptr ? model_->stop_commands_timeout() : Duration(0);
    if (reason == StopReason::shutdown) {
        feed(CloseProcess{grace, commands});
    } else {
        feed(WantDown{grace, commands});
    }
}

void ModelProcess::forget() {
    stop_reason_.reset();
    feed(WantDown{});
}

void ModelProcess::abandon() noexcept {
    abandoned_ = true;
    ++armed_;
    timer_.cancel();
    if (run_) {
        run_->probing = false;
        run_->over.notify_all();
        run_->enough.notify_all();
        run_->child->kill();
    }
}

// ---- the machine --------------------------------------------------------------------------------

/// Events that arise while commands are carried out wait until the commands are done.
void ModelProcess::feed(const ProcessEvent& event) {
    if (abandoned_) {
        return;
    }
    events_.push_back(event);
    if (feeding_) {
        return;
    }
    const Self self = shared_from_this();  // news may make the owner forget us
    const Raised raised(feeding_);
    while (!events_.empty() && !abandoned_) {
        const ProcessEvent next = events_.front();
        events_.pop_front();
        for (const ProcessCommand& command : fsm_.step(next, Clock::now())) {
            carry_out(command);
        }
    }
}

void ModelProcess::carry_out(const ProcessCommand& command) {
    if (const auto* wanted = std::get_if<Spawn>(&command)) {
        spawn(wanted->other_port);
    } else if (std::holds_alternative<Probe>(command)) {
        tasks_.spawn("probe " + id_.str(), probe(shared_from_this(), run_));
        if (model_->start_stall_timeout > Duration::zero()) {
            tasks_.spawn("stall " + id_.str(), watch_for_stall(shared_from_this(), run_));
        }
    } else if (const auto* timer = std::get_if<ArmTimer>(&command)) {
        arm(timer->at);
    } else if (std::holds_alternative<CancelTimer>(command)) {
        ++armed_;
        timer_.cancel();
    } else if (std::holds_alternative<Terminate>(command)) {
        terminate();
    } else if (std::holds_alternative<Kill>(command)) {
        if (run_) {
            run_->gpu_memory.at_stop(launcher_.gpu_memory_used());
            run_->enough.notify_all();
            run_->child->kill();
        }
    } else if (std::holds_alternative<ReportStuck>(command)) {
        spdlog::warn(
            "model={} pid={} state=stopping: still there after SIGKILL, its memory counts "
            "as used; duration_ms={}",
            log::clean(id_.str()), pid(), since(stop_began_).count());
    } else if (const auto* news = std::get_if<Announce>(&command)) {
        announce(*news);
    }
}

void ModelProcess::arm(TimePoint at) {
    const std::uint64_t armed = ++armed_;
    timer_.expires_at(at);
    timer_.async_wait([weak = weak_from_this(), armed](const boost::system::error_code&) {
        const Self self = weak.lock();
        if (self && self->armed_ == armed) {
            self->feed(TimerFired{});
        }
    });
}

// ---- launching ----------------------------------------------------------------------------------

void ModelProcess::spawn(bool other_port) {
    Result<RunPtr> launched = launch(other_port);
    if (!launched) {
        launch_error_ =
            hide_secrets(launched.error().detail, secrets_of(*model_, config_->api_keys));
        feed(SpawnFailed{});
        return;
    }
    run_ = std::move(*launched);
    endpoint_ = run_->endpoint;
    last_pid_ = pid();
    spdlog::info("model={} pid={} state=starting cause={} port={}", log::clean(id_.str()),
                 last_pid_, other_port ? "port_taken" : cause_name(Cause::wanted), run_->port);
    tasks_.spawn("exit " + id_.str(), watch(shared_from_this(), run_));
    feed(Spawned{});
}

Result<ModelProcess::RunPtr> ModelProcess::launch(bool other_port) {
    if (model_->argv.empty()) {
        return Error(Errc::start_failed, Blame::upstream, "it has no cmd");
    }
    auto run = std::make_shared<Run>(executor_);
    if (uses_port(*model_)) {
        const Result<std::uint16_t> port =
            launcher_.free_port(other_port ? std::uint16_t{0} : model_->port);
        if (!port) {
            return port.error();
        }
        run->port = *port;
    }
    const std::string port = std::to_string(run->port);
    Result<Endpoint> endpoint = parse_endpoint(replace_macro(model_->proxy, "PORT", port));
    if (!endpoint) {
        return endpoint.error();
    }
    run->endpoint = std::make_shared<const Endpoint>(std::move(*endpoint));
    run->check_path = check_path_of(*run);
    LaunchSpec spec = spec_for(model_->argv, *run);
    spec.limits = model_->limits;
    spec.stop = spec_for(model_->cmd_stop, *run).argv;
    if (!run->endpoint->unix_path.empty()) {
        launcher_.clear_socket_file(run->endpoint->unix_path);
    }
    run->gpu_memory.before_start(launcher_.gpu_memory_used());
    Result<std::unique_ptr<Child>> child = launcher_.launch(spec);
    if (!child) {
        return child.error();
    }
    run->child = std::move(*child);
    run->launched = Clock::now();
    run->heard_at = run->launched;
    run->child->on_output([self = run.get()] {  // the run holds the child
        self->heard_at = Clock::now();
        self->heard.notify_all();
    });
    run->deadline = started_ + model_->health_check_timeout;
    return run;
}

std::string ModelProcess::check_path_of(const Run& run) const {
    const bool asks = model_->check_endpoint != "none";
    return asks ? replace_macro(model_->check_endpoint, "PORT", std::to_string(run.port))
                : std::string();
}

/// The words with the macros of this run in them.
LaunchSpec ModelProcess::spec_for(const std::vector<std::string>& words, const Run& run) const {
    const std::string port = std::to_string(run.port);
    const auto fill_in = [&](const std::string& word) {
        std::string out = run.port != 0 ? replace_macro(word, "PORT", port) : word;
        return run.child ? replace_macro(out, "PID", std::to_string(run.child->pid())) : out;
    };
    LaunchSpec spec;
    spec.model = id_.str();
    std::transform(words.begin(), words.end(), std::back_inserter(spec.argv), fill_in);
    std::transform(model_->env.begin(), model_->env.end(), std::back_inserter(spec.env), fill_in);
    spec.keys = config_->api_keys;
    for (const PeerConfig& peer : config_->peers) {
        spec.keys.push_back(peer.api_key);
    }
    return spec;
}

// ---- ending -------------------------------------------------------------------------------------

asio::awaitable<void> ModelProcess::watch(Self self, RunPtr run) {
    ExitStatus status{true, SIGKILL};
    std::string broken;
    try {
        status = co_await run->child->wait_exit();
    } catch (const std::exception& error) {
        broken = error.what();
    }
    if (!broken.empty() && !self->abandoned_) {
        // Without its exit the model would be stuck for ever: end it as well as we can.
        spdlog::error("model={} waiting for its exit failed: {}", log::clean(self->id_.str()),
                      log::clean(broken));
        run->child->kill();
    }
    co_await until_memory_is_back(self, run);
    self->on_exit(run, status);
}

void ModelProcess::on_exit(const RunPtr& run, ExitStatus status) {
    run->ended = true;
    run->probing = false;
    run->over.notify_all();
    if (run != run_ || abandoned_) {
        return;
    }
    if (run->stopping) {
        run->held_exit = status;
        return;
    }
    last_status_ = status;
    last_output_ = output_of(*run);
    place_taken_ = run->place_taken;
    const bool port_taken =
        run->port != 0 && run->endpoint->unix_path.empty() && says_port_is_taken(last_output_);
    run_.reset();
    start_hook(run, "afterStop", model_->hooks.after_stop);
    feed(Exited{port_taken});
}

std::string ModelProcess::output_of(const Run& run) const {
    return run.intruder + hide_secrets(run.child->last_lines(last_lines_in_message),
                                       secrets_of(*model_, config_->api_keys));
}

}  // namespace corral
