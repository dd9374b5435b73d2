// The made-up clients and processes of the simulation.
#include "scheduler_world.hpp"

#include <algorithm>
#include <utility>

namespace corral::sim {
namespace {

constexpr int models_max = 6;
constexpr Duration lease_max{20'000};
constexpr Duration load_max{30'000};  // of a healthy load
constexpr Duration stop_max{3'000};   // of a process that heeds SIGTERM
constexpr Duration load_timeout{45'000};
constexpr Duration grace{8'000};
constexpr Duration stuck_max{6'000};

}  // namespace

World::World(std::uint32_t seed, Options options) : random_(seed), options_(options) {
    make_config();
    scheduler_ = std::make_unique<Scheduler>(config_);
}

int World::pick(int from, int to) {
    return from + static_cast<int>(random_() % static_cast<unsigned>(to - from + 1));
}

bool World::chance(int percent) {
    return pick(1, 100) <= percent;
}

void World::note(std::string what) {
    const auto ms = std::chrono::duration_cast<Duration>(now_.time_since_epoch()).count();
    trace_.push_back(std::to_string(ms - 1'000'000) + " " + std::move(what));
    if (trace_.size() > 80) {
        trace_.pop_front();
    }
}

std::string World::trace() const {
    std::string out;
    for (const std::string& line : trace_) {
        out += "\n  " + line;
    }
    return out;
}

void World::make_config() {
    auto config = std::make_shared<Config>();
    const int models = pick(1, models_max);
    for (int i = 0; i < models; ++i) {
        ModelConfig model;
        model.id = ModelId(std::string(1, static_cast<char>('a' + i)));
        model.argv = {"server"};
        model.concurrency_limit = static_cast<std::uint32_t>(pick(1, 4));
        model.ttl = std::chrono::seconds(chance(50) ? 0 : pick(1, 40));
        model.keep_alive = chance(20);
        config->models.push_back(model);
    }
    make_rules(*config);
    config->limits.waiting_per_model = static_cast<std::size_t>(pick(2, 30));
    adopt(config);
}

/// Groups or a matrix, and priorities.
void World::make_rules(Config& config) {
    const std::vector<GroupConfig> before = std::exchange(config.groups, {});
    config.matrix = {};
    const bool ranked = chance(40);
    for (ModelConfig& model : config.models) {
        model.priority = ranked ? pick(-2, 2) : 0;
    }
    config.router = chance(50) ? RouterKind::matrix : RouterKind::group;
    if (config.router == RouterKind::matrix) {
        config.matrix =
            test::RandomMatrix(static_cast<std::uint32_t>(random_()), models_max).build();
        return;
    }
    const int groups = pick(0, 3);
    for (int g = 0; g < groups; ++g) {
        config.groups.push_back({"g" + std::to_string(g), chance(60), chance(50), chance(25), {}});
    }
    for (const ModelConfig& model : config.models) {
        const int g = pick(0, groups);  // the last: in no group
        if (g < groups) {
            config.groups[static_cast<std::size_t>(g)].members.push_back(model.id);
        }
    }
    keep_departed(config, before);
}

/// What left the config and still runs stays in the group of that name, whatever its rules are now.
void World::keep_departed(Config& config, const std::vector<GroupConfig>& before) {
    for (const GroupConfig& old : before) {
        for (const ModelId& member : old.members) {
            if (config.find_id(member) != nullptr) {
                continue;
            }
            auto group = std::find_if(config.groups.begin(), config.groups.end(),
                                      [&](const GroupConfig& each) { return each.id == old.id; });
            if (group == config.groups.end()) {
                config.groups.push_back({old.id, old.swap, old.exclusive, old.persistent, {}});
                group = config.groups.end() - 1;
            }
            group->members.push_back(member);
        }
    }
}

void World::adopt(std::shared_ptr<const Config> config) {
    config_ = std::move(config);
    combinations_.clear();
    for (const MatrixSet& set : config_->matrix.sets) {
        const auto more = test::combinations(config_->matrix, set.root);
        combinations_.insert(combinations_.end(), more.begin(), more.end());
    }
}

const GroupConfig* World::group_of(const ModelId& model) const {
    for (const GroupConfig& group : config_->groups) {
        if (std::find(group.members.begin(), group.members.end(), model) != group.members.end()) {
            return &group;
        }
    }
    return nullptr;
}

/// The rule of the contract, written a second time.
bool World::evicts(const ModelId& target, const ModelId& other) const {
    static const GroupConfig fallback;
    const GroupConfig* a = group_of(target);
    const GroupConfig* b = group_of(other);
    if (a == b) {
        return target != other && (a != nullptr ? a->swap : fallback.swap);
    }
    const bool exclusive = a != nullptr ? a->exclusive : fallback.exclusive;
    const bool persistent = b != nullptr ? b->persistent : fallback.persistent;
    return exclusive && !persistent;
}

/// Whether the config describes the model's process as it was started.
bool World::as_started(const ModelId& model) const {
    const ModelConfig* config = config_->find_id(model);
    return config != nullptr && config->argv == processes_.at(model).definition;
}

void World::at(Duration later, std::function<void()> what) {
    agenda_.push({now_ + later, ++order_, std::move(what)});
}

void World::plan_arrivals() {
    int when = 0;
    for (int i = 0; i < options_.arrivals; ++i) {
        when += options_.steady ? pick(100, 4'000) : (chance(20) ? pick(0, 60'000) : pick(0, 800));
        const auto index = static_cast<std::size_t>(
            pick(0, static_cast<int>(config_->models.size()) - (chance(3) ? 0 : 1)));
        const ModelId model =
            index < config_->models.size() ? config_->models[index].id : ModelId("unknown");
        at(Duration(when), [this, model] { arrive(model); });
        if (options_.interference && chance(8)) {
            at(Duration(when + pick(0, 3'000)), [this] { interfere(); });
        }
    }
    if (options_.close_early) {
        at(Duration(pick(0, when)), [this] { close(); });
    }
}

void World::arrive(const ModelId& model) {
    const Ticket ticket = ++last_ticket_;
    tickets_[ticket] = {model, Answer::waiting};
    waiting_[model].insert(ticket);
    note("request " + std::to_string(ticket) + " " + model.str());
    feed(Request{ticket, model});
    if (options_.interference && chance(15)) {
        at(Duration(pick(0, 40'000)), [this, ticket] {
            if (tickets_.at(ticket).answer == Answer::waiting) {
                answer(ticket, Answer::cancelled);
                ++report_.cancelled;
                note("cancel " + std::to_string(ticket));
            }
            feed(Cancelled{ticket});  // an answered one is ignored
        });
    }
}

void World::interfere() {
    const auto index =
        static_cast<std::size_t>(pick(0, static_cast<int>(config_->models.size()) - 1));
    if (chance(60)) {
        const ModelId model = config_->models[index].id;
        const bool force = chance(30);
        note((force ? "forced unload " : "unload ") + model.str());
        forced_ = force ? std::optional(model) : std::nullopt;
        feed(Unload{model, force});
        forced_.reset();
    } else if (chance(20)) {
        note("reset " + config_->models[index].id.str());
        feed(Reset{config_->models[index].id});
    } else {
        new_config();
    }
}

void World::new_config() {
    auto next = std::make_shared<Config>(*config_);
    const auto index = static_cast<std::size_t>(pick(0, static_cast<int>(next->models.size()) - 1));
    const int what = pick(1, 100);
    if (what <= 55) {
        edit_model(*next, index);
    } else if (what <= 70) {
        edit_groups(*next, next->models[index].id);
    } else if (what <= 80) {
        make_rules(*next);
    } else if (next->models.size() > 1) {
        take_out(*next, index);
    }
    adopt(next);
    note("config");
    feed(Reconfigure{next});
}

/// A new command, the old one again, or values that need no new process.
void World::edit_model(Config& config, std::size_t index) {
    ModelConfig& model = config.models[index];
    if (chance(60)) {
        model.argv = {"server", chance(50) ? "changed" : "as before"};
    } else {
        model.ttl = std::chrono::seconds(pick(0, 20));
        model.concurrency_limit = static_cast<std::uint32_t>(pick(1, 4));
    }
}

/// Another rule for a group, or the model in another group, whatever runs together now.
void World::edit_groups(Config& config, const ModelId& model) {
    const int groups = static_cast<int>(config.groups.size());
    const int chosen = pick(0, groups);  // the last: none
    if (chosen == groups || chance(50)) {
        for (GroupConfig& group : config.groups) {
            std::erase(group.members, model);
        }
        if (chosen < groups) {
            config.groups[static_cast<std::size_t>(chosen)].members.push_back(model);
        }
        return;
    }
    GroupConfig& group = config.groups[static_cast<std::size_t>(chosen)];
    group.swap = chance(60);
    group.exclusive = chance(50);
    group.persistent = chance(25);
}

/// A model goes, and comes back later.
void World::take_out(Config& config, std::size_t index) {
    const ModelConfig removed = config.models[index];
    config.models.erase(config.models.begin() + static_cast<std::ptrdiff_t>(index));
    at(Duration(pick(0, 30'000)), [this, removed] {
        auto back = std::make_shared<Config>(*config_);
        if (back->find_id(removed.id) == nullptr) {
            back->models.push_back(removed);
            std::sort(back->models.begin(), back->models.end(),
                      [](const auto& a, const auto& b) { return a.id < b.id; });
        }
        adopt(back);
        note("config with " + removed.id.str());
        feed(Reconfigure{back});
    });
}

void World::close() {
    closing_ = true;
    const Duration drain(chance(30) ? 0 : pick(0, 30'000));
    close_by_ = now_ + drain;
    note("close");
    feed(Close{close_by_});
}

void World::end_lease(const ModelId& model, Generation generation) {
    --processes_[model].leases.at(generation);
    note("release " + model.str());
    feed(Released{model, generation, chance(80)});
}

// ---- the scheduler's side -----------------------------------------------------------------------

/// As the fleet does it: events that arise while commands are carried out wait for their turn.
void World::feed(const SchedulerEvent& event) {
    queue_.push_back(event);
    if (std::exchange(stepping_, true)) {
        return;
    }
    while (!queue_.empty()) {
        const SchedulerEvent next = std::move(queue_.front());
        queue_.pop_front();
        for (const SchedulerCommand& command : scheduler_->step(next, now_)) {
            carry_out(command);
        }
        scheduler_->check_invariants();
    }
    stepping_ = false;
}

void World::carry_out(const SchedulerCommand& command) {
    if (const auto* grant = std::get_if<Grant>(&command)) {
        const TicketBook& book = tickets_.at(grant->ticket);
        Process& process = processes_[grant->model];
        note("grant " + std::to_string(grant->ticket) + " " + grant->model.str());
        if (book.answer != Answer::waiting) {
            throw Violation("a ticket was answered twice");
        }
        if (book.model != grant->model || process.generation != grant->generation ||
            process.fsm.state() != ProcessState::ready) {
            throw Violation("granted a model that is not ready");
        }
        if (!as_started(grant->model)) {
            throw Violation("granted a process that the config no longer describes");
        }
        ++process.leases[grant->generation];
        ++report_.granted;
        answer(grant->ticket, Answer::granted);
        at(Duration(pick(0, static_cast<int>(lease_max.count()))),
           [this, model = grant->model, generation = grant->generation] {
               end_lease(model, generation);
           });
    } else if (const auto* refuse = std::get_if<Refuse>(&command)) {
        const TicketBook& book = tickets_.at(refuse->ticket);
        note("refuse " + std::to_string(refuse->ticket) + " " + refuse->error.code.message());
        if (book.answer != Answer::waiting) {
            throw Violation("a ticket was answered twice");
        }
        if (refuse->error.detail.empty()) {
            throw Violation("a refusal without words");
        }
        ++report_.refused;
        answer(refuse->ticket, Answer::refused);
    } else if (const auto* start = std::get_if<Start>(&command)) {
        note("start " + start->model.str());
        check_start(start->model);
        ++report_.starts;
        processes_[start->model].generation = start->generation;
        processes_[start->model].definition = config_->find_id(start->model)->argv;
        feed(start->model, WantUp{load_timeout, grace, chance(10)});
    } else if (const auto* stop = std::get_if<Stop>(&command)) {
        note("stop " + stop->model.str() + " " + std::string(stop_reason_name(stop->reason)));
        check_stop(stop->model, stop->reason);
        if (stop->reason == StopReason::shutdown) {
            feed(stop->model, CloseProcess{grace});
        } else {
            feed(stop->model, WantDown{grace});
        }
    } else if (const auto* forget = std::get_if<Forget>(&command)) {
        feed(forget->model, WantDown{});
    } else if (const auto* wake = std::get_if<WakeAt>(&command)) {
        const std::uint64_t armed = ++wake_;
        if (wake->at) {
            at(std::chrono::duration_cast<Duration>(*wake->at - now_), [this, armed] {
                if (armed == wake_) {
                    feed(Tick{});
                }
            });
        }
    }
}

/// What is wanted up counts as well: its process exists by the end of this turn.
bool World::lives(const ModelId& model) const {
    const auto found = processes_.find(model);
    return found != processes_.end() &&
           (found->second.alive || !is_at_rest(found->second.fsm.state()));
}

/// The matrix's rule, written a second time: some combination has all of them. What left the config
/// is in none.
bool World::allowed(const std::vector<ModelId>& together) const {
    test::ModelMask mask = 0;
    bool known = true;
    for (const ModelId& model : together) {
        mask |= test::bit(model);
        known = known && config_->find_id(model) != nullptr;
    }
    return together.size() < 2 ||
           (known && std::any_of(combinations_.begin(), combinations_.end(),
                                 [&](test::ModelMask all) { return (mask & ~all) == 0; }));
}

void World::check_start(const ModelId& model) {
    if (closing_) {
        throw Violation("a start after close");
    }
    std::vector<ModelId> together{model};
    for (const auto& [other, process] : processes_) {
        if (other == model && process.alive) {
            throw Violation("a start while the process of the last run lives");
        }
        if (other == model || !lives(other)) {
            continue;
        }
        together.push_back(other);
        if (config_->router == RouterKind::group && evicts(model, other)) {
            throw Violation(model.str() + " started beside " + other.str());
        }
    }
    if (config_->router == RouterKind::matrix && !allowed(together)) {
        throw Violation(model.str() + " started beside what no combination allows");
    }
    report_.together += together.size() > 1 ? 1U : 0U;
}

void World::check_stop(const ModelId& model, StopReason reason) const {
    const Process& process = processes_.at(model);
    const auto leases = process.leases.find(process.generation);
    const bool leased = leases != process.leases.end() && leases->second > 0;
    const bool forced = reason == StopReason::unload && forced_ == model;
    if (leased && !forced && !(reason == StopReason::shutdown && now_ >= close_by_)) {
        throw Violation("a leased model was stopped");
    }
    if (reason == StopReason::config && as_started(model)) {
        throw Violation("a model that the config left as it was was stopped for it");
    }
}

// ---- the processes' side ------------------------------------------------------------------------

void World::feed(const ModelId& model, const ProcessEvent& event) {
    Process& process = processes_[model];
    process.queue.push_back(event);
    if (std::exchange(process.stepping, true)) {
        return;
    }
    while (!process.queue.empty()) {
        const ProcessEvent next = std::move(process.queue.front());
        process.queue.pop_front();
        for (const ProcessCommand& command : process.fsm.step(next, now_)) {
            carry_out(model, process, command);
        }
        process.fsm.check_invariants();
    }
    process.stepping = false;
}

void World::carry_out(const ModelId& model, Process& process, const ProcessCommand& command) {
    if (std::holds_alternative<Spawn>(command)) {
        spawn(model, process);
    } else if (const auto* arm = std::get_if<ArmTimer>(&command)) {
        const std::uint64_t armed = ++process.timer;
        at(std::chrono::duration_cast<Duration>(arm->at - now_), [this, model, armed] {
            if (processes_[model].timer == armed) {
                feed(model, TimerFired{});
            }
        });
    } else if (std::holds_alternative<CancelTimer>(command)) {
        ++process.timer;
    } else if (std::holds_alternative<Probe>(command)) {
        const bool never = options_.faults && chance(6);
        const std::uint64_t run = process.run;
        if (!never) {
            at(Duration(pick(1, static_cast<int>(load_max.count()))), [this, model, run] {
                if (processes_[model].run == run && processes_[model].alive) {
                    feed(model, Healthy{});
                }
            });
        }
    } else if (std::holds_alternative<Terminate>(command)) {
        if (process.alive && !process.stubborn) {
            exit_later(model, process, Duration(pick(0, static_cast<int>(stop_max.count()))),
                       false);
        }
    } else if (std::holds_alternative<Kill>(command)) {
        const int slow = options_.faults && chance(10) ? static_cast<int>(stuck_max.count()) : 5;
        exit_later(model, process, Duration(pick(0, slow)), false);
    } else if (const auto* news = std::get_if<Announce>(&command)) {
        note(model.str() + " is " + std::string(process_state_name(news->to)) + " " +
             std::string(cause_name(news->cause)));
        ProcessChanged changed{model, news->to, {}};
        if (news->cause == Cause::spawn_failed || news->cause == Cause::died_early ||
            news->cause == Cause::not_ready || news->cause == Cause::crashed) {
            changed.error = Error(Errc::start_failed, Blame::upstream, "simulated");
        }
        if (news->from == ProcessState::failed && news->to == ProcessState::stopped) {
            return;  // forgotten: the scheduler said so itself
        }
        feed(changed);
    }
}

void World::spawn(const ModelId& model, Process& process) {
    ++process.run;
    if (process.alive) {
        throw Violation("two processes of one model");
    }
    if (options_.faults && chance(5)) {
        feed(model, SpawnFailed{});
        return;
    }
    process.alive = true;
    process.stubborn = options_.faults && chance(15);
    if (options_.faults && chance(10)) {
        exit_later(model, process, Duration(pick(0, 40'000)), chance(40));
    } else if (options_.faults && chance(10)) {
        exit_later(model, process, Duration(pick(0, 400'000)), false);
    }
    feed(model, Spawned{});
}

void World::exit_later(const ModelId& model, Process& process, Duration later, bool port_taken) {
    const std::uint64_t run = process.run;
    at(later, [this, model, run, port_taken] {
        Process& ended = processes_[model];
        if (ended.alive && ended.run == run) {
            ended.alive = false;
            note(model.str() + " exits");
            feed(model, Exited{port_taken});
        }
    });
}

// ---- the run ------------------------------------------------------------------------------------

void World::answer(Ticket ticket, Answer answer) {
    TicketBook& book = tickets_.at(ticket);
    book.answer = answer;
    waiting_.at(book.model).erase(ticket);
}

/// The longest that one model's turn can take: stopping the one before it (stuck or not), its load,
/// max_wait of service, and the leases that are out then.
Duration World::turn_max() const {
    if (!options_.faults) {
        return stop_max + load_max + max_wait + lease_max;
    }
    return grace + kill_patience + stuck_max + load_timeout + max_wait + lease_max;
}

/// From the moment that a ticket is the oldest of its model, it waits for at most one turn of every
/// model, and for as many more as the requests that came before it need.
Duration World::bound_for(Ticket ticket) const {
    std::size_t turns = config_->models.size() + 1;
    for (const ModelConfig& model : config_->models) {
        const auto waiting = waiting_.find(model.id);
        if (waiting == waiting_.end()) {
            continue;
        }
        const auto older =
            std::distance(waiting->second.begin(), waiting->second.lower_bound(ticket));
        const auto limit = static_cast<std::size_t>(model.concurrency_limit);
        turns += (static_cast<std::size_t>(older) + limit - 1) / limit;
    }
    return turn_max() * static_cast<int>(turns);
}

void World::check_heads() {
    for (const auto& [model, tickets] : waiting_) {
        if (tickets.empty()) {
            continue;
        }
        const Ticket ticket = *tickets.begin();
        Head& head = heads_[model];
        if (head.ticket != ticket) {
            head = {ticket, now_, now_ + bound_for(ticket)};
        }
        const double share = std::chrono::duration<double>(now_ - head.since) /
                             std::chrono::duration<double>(head.bound - head.since);
        report_.worst_wait = std::max(report_.worst_wait, share);
        if (share > 1) {
            throw Violation("ticket " + std::to_string(ticket) + " starves");
        }
    }
}

Report World::run() {
    plan_arrivals();
    for (int phase = 0; phase < 2; ++phase) {
        while (!agenda_.empty()) {
            Timed next = agenda_.top();
            agenda_.pop();
            now_ = next.when;
            next.what();
            check_heads();
        }
        for (const auto& [ticket, book] : tickets_) {
            if (book.answer == Answer::waiting) {
                throw Violation("ticket " + std::to_string(ticket) + " was never answered");
            }
        }
        if (!closing_) {
            close();
        }
    }
    check_end();
    return report_;
}

void World::check_end() const {
    if (!scheduler_->idle()) {
        throw Violation("closed, but not empty");
    }
    for (const auto& [model, process] : processes_) {
        if (process.alive || !is_at_rest(process.fsm.state())) {
            throw Violation(model.str() + " still runs after close");
        }
    }
}

}  // namespace corral::sim
