#pragma once
// A scheduler with a hand clock and commands as text, for tests that read like a story.

#include "supervisor/logic/scheduler.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace corral::test {

inline std::string text_of(const SchedulerCommand& command) {
    struct Namer {
        std::string operator()(const Grant& c) const {
            return "grant " + std::to_string(c.ticket) + ":" + c.model.str();
        }
        std::string operator()(const Refuse& c) const {
            return "refuse " + std::to_string(c.ticket) + ":" + c.error.code.message();
        }
        std::string operator()(const Start& c) const { return "start " + c.model.str(); }
        std::string operator()(const Stop& c) const {
            return "stop " + c.model.str() + ":" + std::string(stop_reason_name(c.reason));
        }
        std::string operator()(const Forget& c) const { return "forget " + c.model.str(); }
        std::string operator()(const WakeAt&) const { return ""; }
    };
    return std::visit(Namer{}, command);
}

/// One model of a test's config.
inline ModelConfig model(const std::string& id, std::uint32_t limit = 0, int ttl = 0) {
    ModelConfig out;
    out.id = ModelId(id);
    out.argv = {"server", id};
    out.concurrency_limit = limit;
    out.ttl = std::chrono::seconds(ttl);
    return out;
}

/// A config with these models (sorted by id already) and groups.
inline std::shared_ptr<Config> config_of(std::vector<ModelConfig> models,
                                         std::vector<GroupConfig> groups = {}) {
    auto out = std::make_shared<Config>();
    out->models = std::move(models);
    out->groups = std::move(groups);
    return out;
}

inline GroupConfig group(const std::string& id, bool swap, bool exclusive, bool persistent,
                         const std::vector<std::string>& members) {
    GroupConfig out{id, swap, exclusive, persistent, {}};
    for (const std::string& member : members) {
        out.members.emplace_back(member);
    }
    return out;
}

class Yard {
public:
    explicit Yard(std::shared_ptr<const Config> config) : scheduler(std::move(config)) {}

    /// Steps and gives the commands as "a; b; c" without wake-ups, which wake_at has.
    std::string step(const SchedulerEvent& event) {
        std::string out;
        for (const SchedulerCommand& command : scheduler.step(event, now)) {
            if (const auto* grant = std::get_if<Grant>(&command)) {
                last_generation = grant->generation;
            }
            if (const auto* wake = std::get_if<WakeAt>(&command)) {
                wake_at = wake->at;
                continue;
            }
            out += (out.empty() ? "" : "; ") + text_of(command);
        }
        scheduler.check_invariants();
        return out;
    }
    std::string request(const char* id) { return step(Request{++ticket, ModelId(id)}); }
    std::string cancel(Ticket which) { return step(Cancelled{which}); }
    std::string release(const char* id) {
        return step(Released{ModelId(id), scheduler.view(ModelId(id)).generation});
    }
    std::string changed(const char* id, ProcessState state) {
        return step(ProcessChanged{ModelId(id), state, std::nullopt});
    }
    std::string ready(const char* id) { return changed(id, ProcessState::ready); }
    std::string stopped(const char* id) { return changed(id, ProcessState::stopped); }
    std::string failed(const char* id, Errc code = Errc::start_failed) {
        return step(ProcessChanged{ModelId(id), ProcessState::failed,
                                   Error(code, Blame::upstream, "because")});
    }
    std::string unload(const char* id) { return step(Unload{ModelId(id)}); }
    std::string tick() { return step(Tick{}); }
    /// Loads a model for one request and ends that request.
    void load(const char* id) {
        request(id);
        ready(id);
        release(id);
    }
    void pass(Duration by) { now += by; }
    std::uint32_t in_flight(const char* id) const { return scheduler.view(ModelId(id)).in_flight; }
    std::uint32_t waiting(const char* id) const { return scheduler.view(ModelId(id)).waiting; }
    ProcessState state(const char* id) const { return scheduler.view(ModelId(id)).state; }

    Scheduler scheduler;
    TimePoint now{Duration(1'000'000)};
    Ticket ticket = 0;
    Generation last_generation = 0;
    std::optional<TimePoint> wake_at;
};

}  // namespace corral::test
