// Carries out what one model's ProcessFsm decides. Transitions are logged here, once each.
#include "supervisor/fleet/model_process.hpp"

#include "core/config_difference.hpp"
#include "core/log.hpp"
#include "supervisor/fleet/failure_text.hpp"
#include "supervisor/fleet/raised.hpp"
#include "supervisor/fleet/wakeup.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <csignal>
#include <exception>
#include <utility>
#include <variant>

namespace corral {

namespace asio = boost::asio;

namespace {

// mechanics: ready is noticed within 20 ms, and a long load costs ten probes a second.
constexpr Duration first_pause{5};
constexpr Duration longest_pause{100};

bool uses_port(const ModelConfig& model) {
    const auto mentions = [](const std::string& word) {
        return word.find("${PORT}") != std::string::npos;
    };
    return std::any_of(model.argv.begin(), model.argv.end(), mentions) ||
           std::any_of(model.env.begin(), model.env.end(), mentions);
}

/// A prober that breaks its promise not to throw counts as "not ready".
asio::awaitable<bool> ask(Prober& prober, Endpoint endpoint, std::string path, Duration timeout) {
    try {
        const bool ready = co_await prober.ready(std::move(endpoint), std::move(path), timeout);
        co_return ready;
    } catch (const std::exception&) {
    }
    co_return false;
}

asio::awaitable<ExitStatus> exit_of(Child& child) {
    const ExitStatus status = co_await child.wait_exit();
    co_return status;
}

}  // namespace

/// One process from exec to exit. Shared by the coroutines that watch it.
struct ModelProcess::Run {
    explicit Run(const asio::any_io_executor& executor) : over(executor) {}
    std::unique_ptr<Child> child;
    std::uint16_t port = 0;
    std::shared_ptr<const Endpoint> endpoint;
    std::string check_path;  // empty: a connection is enough
    TimePoint launched;
    TimePoint deadline;  // for readiness
    Wakeup over;         // it has left `starting`: nobody needs to probe any more
    bool probing = true;
    bool ended = false;
};

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
    stop_grace_ = model_->unload_timeout;
    feed(WantUp{model_->health_check_timeout, model_->unload_timeout, !model_->cmd_stop.empty()});
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
    stop_grace_ = grace;
    if (reason == StopReason::shutdown) {
        feed(CloseProcess{grace});
    } else {
        feed(WantDown{grace});
    }
}

void ModelProcess::abandon() noexcept {
    abandoned_ = true;
    ++armed_;
    timer_.cancel();
    if (run_) {
        run_->probing = false;
        run_->over.notify_all();
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
    } else if (const auto* timer = std::get_if<ArmTimer>(&command)) {
        arm(timer->at);
    } else if (std::holds_alternative<CancelTimer>(command)) {
        ++armed_;
        timer_.cancel();
    } else if (std::holds_alternative<Terminate>(command)) {
        terminate();
    } else if (std::holds_alternative<Kill>(command)) {
        if (run_) {
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
    Result<std::unique_ptr<Child>> child = launcher_.launch(spec_for(model_->argv, *run));
    if (!child) {
        return child.error();
    }
    run->child = std::move(*child);
    run->launched = Clock::now();
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
    return spec;
}

/// Asks until the server is ready, the start is over, or its deadline has passed. The deadline
/// itself is the machine's timer: it fires even when a probe never returns.
asio::awaitable<void> ModelProcess::probe(Self self, RunPtr run) {
    using namespace asio::experimental::awaitable_operators;
    Duration pause = first_pause;
    while (run->probing) {
        const Duration left = std::chrono::duration_cast<Duration>(run->deadline - Clock::now());
        const Duration timeout = std::clamp<Duration>(self->config_->limits.probe_timeout,
                                                      Duration(1), std::max(left, Duration(1)));
        const Endpoint endpoint = *run->endpoint;
        const std::string path = run->check_path;
        const TimePoint never = TimePoint::max();
        const auto first =
            co_await (ask(self->prober_, endpoint, path, timeout) || run->over.wait(never));
        if (!run->probing) {
            co_return;
        }
        if (first.index() == 0 && std::get<0>(first)) {
            self->feed(Healthy{});
            co_return;
        }
        const TimePoint next = Clock::now() + pause;
        const Woken woken = co_await run->over.wait(next);
        if (woken != Woken::deadline) {
            co_return;
        }
        pause = std::min(pause * 3 / 2, longest_pause);
    }
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
    self->on_exit(run, status);
}

void ModelProcess::on_exit(const RunPtr& run, ExitStatus status) {
    run->ended = true;
    run->probing = false;
    run->over.notify_all();
    if (run != run_ || abandoned_) {
        return;
    }
    last_status_ = status;
    last_output_ = output_of(*run);
    const bool port_taken = run->port != 0 && says_port_is_taken(last_output_);
    run_.reset();
    feed(Exited{port_taken});
}

std::string ModelProcess::output_of(const Run& run) const {
    return hide_secrets(run.child->last_lines(last_lines_in_message),
                        secrets_of(*model_, config_->api_keys));
}

void ModelProcess::terminate() {
    if (!run_) {
        return;
    }
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

// ---- telling ------------------------------------------------------------------------------------

void ModelProcess::announce(const Announce& news) {
    if (news.to != ProcessState::starting && run_) {
        run_->probing = false;
        run_->over.notify_all();
    }
    if (news.to == ProcessState::stopping) {
        stop_began_ = Clock::now();
    }
    ProcessNews out{id_, generation_, news.to, error_of(news), {}};
    if (is_at_rest(news.to) && news.cause != Cause::spawn_failed && !is_at_rest(news.from)) {
        out.ending = stop_reason_
                         ? "it was stopped (" + std::string(stop_reason_name(*stop_reason_)) + ")"
                         : ending_text(last_status_, last_output_);
    }
    if (out.error && news.from == ProcessState::stopping) {
        out.error->detail = last_failure_;  // told when it was told to stop; this is only the end
    } else if (out.error) {
        last_failure_ = out.error->detail;
    } else if (news.to == ProcessState::ready || news.to == ProcessState::stopped) {
        last_failure_.clear();
    }
    log_transition(news);
    on_news_(out);
}

std::optional<Error> ModelProcess::error_of(const Announce& news) const {
    switch (news.cause) {
        case Cause::spawn_failed:
            return Error(Errc::start_failed, Blame::upstream,
                         not_launched_text(id_, launch_error_));
        case Cause::died_early:
            return Error(Errc::start_failed, Blame::upstream,
                         died_early_text(id_, last_status_, since(started_), last_output_));
        case Cause::not_ready: {
            const std::string path = model_->check_endpoint;
            const std::string asked =
                path == "none" ? "its address"
                               : "http://" + endpoint_->authority() + endpoint_->base_path + path;
            return Error(Errc::start_timeout, Blame::upstream,
                         not_ready_text(id_, since(started_), asked,
                                        run_ ? output_of(*run_) : last_output_));
        }
        case Cause::crashed:
            return Error(Errc::upstream_closed, Blame::upstream,
                         "model \"" + log::clean(id_.str()) +
                             "\" ended by itself: " + ending_text(last_status_, last_output_));
        case Cause::wanted:
        case Cause::healthy:
        case Cause::told_to_stop:
        case Cause::closing:
            break;
    }
    return std::nullopt;
}

void ModelProcess::log_transition(const Announce& news) const {
    const std::string model = log::clean(id_.str());
    const std::string_view state = process_state_name(news.to);
    const std::string_view cause = news.cause == Cause::told_to_stop && stop_reason_
                                       ? stop_reason_name(*stop_reason_)
                                       : cause_name(news.cause);
    const bool stopped = news.from == ProcessState::stopping;
    const auto ms = since(stopped ? stop_began_ : started_).count();
    switch (news.cause) {
        case Cause::spawn_failed:
            spdlog::warn("model={} state={} cause={} why=\"{}\"", model, state, cause,
                         log::clean(launch_error_));
            return;
        case Cause::died_early:
        case Cause::crashed: {
            const auto line = last_output_.rfind('\n');
            spdlog::warn("model={} pid={} state={} cause={} exit=\"{}\" duration_ms={} last=\"{}\"",
                         model, last_pid_, state, cause, last_status_.describe(), ms,
                         log::clean(line == std::string::npos ? last_output_
                                                              : last_output_.substr(line + 1)));
            return;
        }
        case Cause::wanted:
            return;  // logged by spawn(), which knows the pid
        case Cause::not_ready:
            spdlog::warn("model={} pid={} state={} cause={} duration_ms={}", model, last_pid_,
                         state, cause, ms);
            return;
        case Cause::healthy:
        case Cause::told_to_stop:
        case Cause::closing:
            spdlog::info("model={} pid={} state={} cause={} duration_ms={}", model, last_pid_,
                         state, cause, ms);
            return;
    }
}

}  // namespace corral
