#pragma once
// A simulated yard: the real Scheduler and the real ProcessFsm of each model, around them made-up
// clients and processes on a hand clock, everything from one seed. It keeps its own books and
// throws Violation when the scheduler's commands do not fit them.

#include "core/config.hpp"
#include "supervisor/logic/process_fsm.hpp"
#include "supervisor/logic/scheduler.hpp"
#include "tests/support/random_matrix.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace corral::sim {

struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What a world is made of; the rest is drawn from the seed.
struct Options {
    int arrivals = 60;
    bool faults = true;        ///< crashes, failed and endless starts, stubborn processes
    bool interference = true;  ///< cancels, unloads, new configs
    bool close_early = false;  ///< close in the middle instead of letting the queues empty
    bool steady = false;       ///< every model is asked for all the time: the starvation case
};

struct Report {
    std::size_t granted = 0;
    std::size_t refused = 0;
    std::size_t cancelled = 0;
    std::size_t starts = 0;
    std::size_t together = 0;  ///< starts beside another model
    double worst_wait = 0;     ///< longest time at the head of a queue, as a share of the bound
};

class World {
public:
    World(std::uint32_t seed, Options options);
    Report run();
    /// The last things that happened, oldest first.
    [[nodiscard]] std::string trace() const;

private:
    enum class Answer : std::uint8_t { waiting, granted, refused, cancelled };
    struct TicketBook {
        ModelId model;
        Answer answer = Answer::waiting;
    };
    struct Process {
        ProcessFsm fsm;
        bool alive = false;
        bool stubborn = false;    // ignores SIGTERM
        std::uint64_t run = 0;    // counts spawns: older events are void
        std::uint64_t timer = 0;  // counts arms and cancels
        Generation generation = 0;
        std::vector<std::string> definition;  // argv as it was started
        std::map<Generation, int> leases;
        std::deque<ProcessEvent> queue;
        bool stepping = false;
    };

    void make_config();
    void make_rules(Config& config);
    static void keep_departed(Config& config, const std::vector<GroupConfig>& before);
    void adopt(std::shared_ptr<const Config> config);
    void plan_arrivals();
    void arrive(const ModelId& model);
    void interfere();
    void new_config();
    void edit_model(Config& config, std::size_t index);
    void edit_groups(Config& config, const ModelId& model);
    void take_out(Config& config, std::size_t index);
    void close();
    void end_lease(const ModelId& model, Generation generation);

    void at(Duration later, std::function<void()> what);
    void feed(const SchedulerEvent& event);
    void carry_out(const SchedulerCommand& command);
    void check_start(const ModelId& model);
    void check_stop(const ModelId& model, StopReason reason) const;
    void feed(const ModelId& model, const ProcessEvent& event);
    void carry_out(const ModelId& model, Process& process, const ProcessCommand& command);
    void spawn(const ModelId& model, Process& process);
    void exit_later(const ModelId& model, Process& process, Duration later, bool port_taken);
    void answer(Ticket ticket, Answer answer);
    [[nodiscard]] Duration turn_max() const;
    [[nodiscard]] Duration bound_for(Ticket ticket) const;
    void check_heads();
    void check_end() const;

    [[nodiscard]] bool lives(const ModelId& model) const;
    [[nodiscard]] bool allowed(const std::vector<ModelId>& together) const;
    [[nodiscard]] bool evicts(const ModelId& target, const ModelId& other) const;
    [[nodiscard]] bool as_started(const ModelId& model) const;
    [[nodiscard]] const GroupConfig* group_of(const ModelId& model) const;
    int pick(int from, int to);  // both included
    bool chance(int percent);
    void note(std::string what);

    struct Timed {
        TimePoint when;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(const Timed& other) const {
            return when != other.when ? when > other.when : order > other.order;
        }
    };

    std::mt19937 random_;
    Options options_;
    TimePoint now_{Duration(1'000'000)};
    std::shared_ptr<const Config> config_;
    std::vector<test::ModelMask> combinations_;  // that the config's matrix allows
    std::unique_ptr<Scheduler> scheduler_;
    std::map<ModelId, Process> processes_;
    std::map<Ticket, TicketBook> tickets_;
    std::map<ModelId, std::set<Ticket>> waiting_;
    struct Head {
        Ticket ticket = 0;
        TimePoint since;
        TimePoint bound;
    };
    std::map<ModelId, Head> heads_;
    std::priority_queue<Timed> agenda_;
    std::uint64_t order_ = 0;
    Ticket last_ticket_ = 0;
    std::deque<SchedulerEvent> queue_;
    bool stepping_ = false;
    std::uint64_t wake_ = 0;
    bool closing_ = false;
    std::optional<ModelId> forced_;  // is being unloaded by force
    TimePoint close_by_;
    Report report_;
    std::deque<std::string> trace_;
};

}  // namespace corral::sim
