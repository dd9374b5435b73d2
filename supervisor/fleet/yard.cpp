// The scheduler's shell; see the header.
#include "supervisor/fleet/yard.hpp"

#include "core/log.hpp"
#include "supervisor/fleet/raised.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>
#include <variant>

namespace corral {

namespace asio = boost::asio;

namespace {

constexpr std::size_t endings_max = 64;  // for connections that broke a moment ago

bool tells_to_go(const SchedulerEvent& event) noexcept {
    return std::holds_alternative<Unload>(event) || std::holds_alternative<Reconfigure>(event) ||
           std::holds_alternative<Close>(event);
}

}  // namespace

// ---- leases and waiters -------------------------------------------------------------------------

Lease::Impl::Impl(std::weak_ptr<Yard> y, std::shared_ptr<const ModelConfig> m,
                  std::shared_ptr<const Endpoint> e, Generation g, Counts c)
    : yard(std::move(y)), model(std::move(m)), endpoint(std::move(e)), generation(g), counts(c) {}

Lease::Impl::~Impl() {
    if (counts == Counts::no) {
        return;
    }
    if (const std::shared_ptr<Yard> alive = yard.lock()) {
        alive->post_quietly(Released{model->id, generation, counts == Counts::yes});
    }
}

Yard::Waiter::Waiter(std::shared_ptr<Yard> yard, const ModelId& model, Touches touches)
    : woken(yard->executor_),
      yard_(std::move(yard)),
      ticket_(++yard_->last_ticket_),
      touches_(touches) {
    if (yard_->abandoned_) {
        answer.emplace(Error(Errc::shutting_down, Blame::internal, "Corral is shutting down."));
        return;
    }
    yard_->waiters_.emplace(ticket_, this);
    try {
        yard_->post(Request{ticket_, model});
    } catch (...) {
        yard_->waiters_.erase(ticket_);  // no destructor will run
        throw;
    }
}

Yard::Waiter::~Waiter() {
    if (yard_->waiters_.erase(ticket_) != 0) {
        yard_->post_quietly(Cancelled{ticket_});
    }
}

// ---- events and commands ------------------------------------------------------------------------

Yard::Yard(asio::any_io_executor executor, Launcher& launcher, Prober& prober,
           std::shared_ptr<const Config> config)
    : executor_(std::move(executor)),
      launcher_(launcher),
      prober_(prober),
      config_(std::move(config)),
      scheduler_(config_),
      timer_(executor_),
      changed_(executor_),
      tasks_(executor_) {}

Yard::~Yard() {
    abandon();
}

void Yard::post(SchedulerEvent event) {
    if (abandoned_) {
        return;
    }
    events_.push_back(std::move(event));
    if (stepping_) {
        return;
    }
    const std::shared_ptr<Yard> self = shared_from_this();
    const Raised raised(stepping_);
    while (!events_.empty() && !abandoned_) {
        const SchedulerEvent next = std::move(events_.front());
        events_.pop_front();
        for (const SchedulerCommand& command : scheduler_.step(next, Clock::now())) {
            carry_out(command);
        }
        if (tells_to_go(next)) {
            changed_.notify_all();  // a model that only drains has no transition yet
        }
    }
    forget_departed();
}

void Yard::post_quietly(SchedulerEvent event) noexcept {
    try {
        post(std::move(event));
    } catch (const std::exception& error) {
        spdlog::error("the yard failed to take an event: {}", log::clean(error.what()));
    }
}

void Yard::carry_out(const SchedulerCommand& command) {
    if (const auto* granted = std::get_if<Grant>(&command)) {
        grant(*granted);
    } else if (const auto* refused = std::get_if<Refuse>(&command)) {
        const auto found = waiters_.find(refused->ticket);
        if (found != waiters_.end()) {
            found->second->answer.emplace(refused->error);
            found->second->woken.notify_all();
            waiters_.erase(found);
        }
    } else if (const auto* start = std::get_if<Start>(&command)) {
        process_of(start->model).start(config_, start->generation);
    } else if (const auto* stop = std::get_if<Stop>(&command)) {
        process_of(stop->model).stop(stop->reason, grace_of(stop->model));
    } else if (const auto* forgotten = std::get_if<Forget>(&command)) {
        process_of(forgotten->model).forget();
    } else if (const auto* wake = std::get_if<WakeAt>(&command)) {
        wake_at(wake->at);
    }
}

Lease Yard::make_lease(const ModelId& model, Generation generation, Counts counts) {
    return Lease(std::make_unique<Lease::Impl>(
        weak_from_this(), std::shared_ptr<const ModelConfig>(config_, config_->find_id(model)),
        process_of(model).endpoint(), generation, counts));
}

std::optional<Lease> Yard::attach(const ModelId& model) {
    const Scheduler::View seen = scheduler_.view(model);
    if (!serves(model, seen.generation)) {
        return std::nullopt;
    }
    return make_lease(model, seen.generation, Counts::no);
}

void Yard::grant(const Grant& grant) {
    const auto found = waiters_.find(grant.ticket);
    // Made in any case: when whoever asked has gone, its destruction gives the place back.
    Lease lease = make_lease(grant.model, grant.generation,
                             found != waiters_.end() ? found->second->counts() : Counts::yes);
    if (found == waiters_.end()) {
        return;
    }
    Waiter& waiter = *found->second;
    waiters_.erase(found);
    waiter.answer.emplace(std::move(lease));
    waiter.woken.notify_all();
}

void Yard::wake_at(std::optional<TimePoint> at) {
    const std::uint64_t armed = ++armed_;
    if (!at) {
        timer_.cancel();
        return;
    }
    timer_.expires_at(*at);
    timer_.async_wait([weak = weak_from_this(), armed](const boost::system::error_code&) {
        const std::shared_ptr<Yard> self = weak.lock();
        if (self && self->armed_ == armed) {
            self->post(Tick{});
        }
    });
}

void Yard::on_news(const ProcessNews& news) {
    if (!news.ending.empty()) {
        endings_.push_back({news.generation, {news.ending, news.failure}});
        if (endings_.size() > endings_max) {
            endings_.pop_front();
        }
    }
    for (const Fleet::OnNews& listener : listeners_) {
        listener(news);  // first: what follows may be news of its own
    }
    // The scheduler has forgotten a failure by itself, and may have started the model since.
    if (news.from != ProcessState::failed || news.state != ProcessState::stopped) {
        post(ProcessChanged{news.model, news.state, news.error});
    }
    changed_.notify_all();
}

ModelProcess& Yard::process_of(const ModelId& model) {
    std::shared_ptr<ModelProcess>& process = processes_[model];
    if (!process) {
        process =
            std::make_shared<ModelProcess>(executor_, launcher_, prober_, tasks_, model,
                                           [weak = weak_from_this()](const ProcessNews& news) {
                                               if (const std::shared_ptr<Yard> self = weak.lock()) {
                                                   self->on_news(news);
                                               }
                                           });
    }
    return *process;
}

/// A model that left the config keeps the grace that it was started with.
Duration Yard::grace_of(const ModelId& model) {
    const ModelConfig* config = config_->find_id(model);
    return config != nullptr ? config->unload_timeout : process_of(model).grace();
}

void Yard::forget_departed() {
    std::erase_if(processes_, [this](const auto& entry) {
        return is_at_rest(entry.second->state()) && config_->find_id(entry.first) == nullptr;
    });
}

void Yard::apply(std::shared_ptr<const Config> config) {
    config_ = config;
    for (const auto& [model, process] : processes_) {
        process->adopt(config);
    }
    post(Reconfigure{std::move(config)});
}

void Yard::abandon() noexcept {
    if (std::exchange(abandoned_, true)) {
        return;
    }
    ++armed_;
    timer_.cancel();
    for (const auto& [model, process] : processes_) {
        process->abandon();
    }
    for (const auto& [ticket, waiter] : waiters_) {
        waiter->answer.emplace(Error(Errc::shutting_down, Blame::internal, "Corral is gone."));
        waiter->woken.notify_all();
    }
    waiters_.clear();
    changed_.notify_all();
    tasks_.cancel_all();
}

// ---- looking in ---------------------------------------------------------------------------------

bool Yard::knows(const ModelId& model) const {
    return config_->find_id(model) != nullptr;
}

std::vector<ModelId> Yard::known() const {
    std::vector<ModelId> out;
    for (const ModelConfig& model : config_->models) {
        out.push_back(model.id);
    }
    return out;
}

bool Yard::runs(const ModelId& model, Generation generation) const {
    const Scheduler::View seen = scheduler_.view(model);
    return !abandoned_ && seen.generation == generation && !is_at_rest(seen.state);
}

bool Yard::runs(Generation generation) const {
    return !abandoned_ && std::any_of(processes_.begin(), processes_.end(), [&](const auto& entry) {
        return entry.second->generation() == generation && !is_at_rest(entry.second->state());
    });
}

bool Yard::serves(const ModelId& model, Generation generation) const {
    const Scheduler::View seen = scheduler_.view(model);
    return !abandoned_ && seen.generation == generation && seen.serving;
}

const PostMortem* Yard::ending(Generation generation) const {
    const auto found = std::find_if(endings_.begin(), endings_.end(), [&](const Ending& ending) {
        return ending.generation == generation;
    });
    return found != endings_.end() ? &found->story : nullptr;
}

std::vector<ModelStatus> Yard::models() const {
    std::vector<ModelStatus> out;
    out.reserve(config_->models.size());
    const TimePoint now = Clock::now();
    for (const ModelConfig& model : config_->models) {
        ModelStatus status;
        status.id = model.id;
        const Scheduler::View seen = scheduler_.view(model.id, now);
        status.state = seen.state;
        status.failures = seen.failures;
        if (seen.retry_at) {
            status.retry_in = std::chrono::duration_cast<Duration>(*seen.retry_at - now);
        }
        status.in_flight = seen.in_flight;
        status.waiting = seen.waiting;
        const auto found = processes_.find(model.id);
        if (found != processes_.end()) {
            status.pid = found->second->pid();
            status.port = found->second->port();
            status.last_failure = found->second->last_failure();
            status.failure = found->second->failure();
            status.since = found->second->since();
        }
        out.push_back(std::move(status));
    }
    return out;
}

}  // namespace corral
