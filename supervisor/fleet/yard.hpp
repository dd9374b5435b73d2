#pragma once
// What stands behind Fleet: the scheduler's shell. Takes events in, carries commands out, and knows
// whose ticket is whose. Main loop only; used by fleet.cpp, by nobody else. Decides nothing.

#include "core/config.hpp"
#include "core/error.hpp"
#include "supervisor/fleet/fleet.hpp"
#include "supervisor/fleet/model_process.hpp"
#include "supervisor/fleet/task_group.hpp"
#include "supervisor/fleet/wakeup.hpp"
#include "supervisor/logic/scheduler.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace corral {

/// Whether a lease is in flight for the scheduler (and its end is what the TTL counts from), or
/// only looks on.
enum class Counts : std::uint8_t { no, untouched, yes };

class Yard : public std::enable_shared_from_this<Yard> {
public:
    Yard(boost::asio::any_io_executor executor, Launcher& launcher, Prober& prober,
         std::shared_ptr<const Config> config);
    ~Yard();

    /// One request in the queue, in the frame of its acquire(). Leaves the queue when it is
    /// destroyed; a lease that was granted meanwhile and not taken goes back.
    class Waiter {
    public:
        Waiter(std::shared_ptr<Yard> yard, const ModelId& model, Touches touches);
        ~Waiter();
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;
        [[nodiscard]] Ticket ticket() const noexcept { return ticket_; }
        [[nodiscard]] Counts counts() const noexcept {
            return touches_ == Touches::yes ? Counts::yes : Counts::untouched;
        }
        std::optional<Result<Lease>> answer;
        Wakeup woken;

    private:
        std::shared_ptr<Yard> yard_;
        Ticket ticket_;
        Touches touches_;
    };

    /// Decides and carries out, now, or after the event in progress.
    void post(SchedulerEvent event);
    /// For destructors: as post(), but whatever goes wrong ends in the log.
    void post_quietly(SchedulerEvent event) noexcept;

    void apply(std::shared_ptr<const Config> config);
    /// The fleet goes: kills what runs, answers who waits, and never starts anything again.
    void abandon() noexcept;

    [[nodiscard]] const std::shared_ptr<const Config>& config() const noexcept { return config_; }
    [[nodiscard]] std::vector<ModelStatus> models() const;
    [[nodiscard]] std::vector<ModelId> known() const;
    [[nodiscard]] bool knows(const ModelId& model) const;
    /// A lease that does not count, when the model is ready and was not told to go.
    [[nodiscard]] std::optional<Lease> attach(const ModelId& model);
    [[nodiscard]] Scheduler::View view(const ModelId& model) const {
        return scheduler_.view(model);
    }
    [[nodiscard]] std::uint32_t ahead_of(Ticket ticket) const {
        return scheduler_.ahead_of(ticket);
    }
    /// True while this run of the model has not ended.
    [[nodiscard]] bool runs(const ModelId& model, Generation generation) const;
    [[nodiscard]] bool runs(Generation generation) const;
    /// True while this run of the model is ready and was not told to go.
    [[nodiscard]] bool serves(const ModelId& model, Generation generation) const;
    /// How a run ended, if it did lately.
    [[nodiscard]] const PostMortem* ending(Generation generation) const;
    void listen(Fleet::OnNews listener) { listeners_.push_back(std::move(listener)); }
    [[nodiscard]] bool idle() const noexcept { return abandoned_ || scheduler_.idle(); }
    [[nodiscard]] bool closing() const noexcept { return abandoned_ || scheduler_.closing(); }
    /// Notified at every transition of a process, and when models were told to go.
    [[nodiscard]] Wakeup& changed() noexcept { return changed_; }
    [[nodiscard]] TaskGroup& tasks() noexcept { return tasks_; }

private:
    void carry_out(const SchedulerCommand& command);
    void grant(const Grant& grant);
    Lease make_lease(const ModelId& model, Generation generation, Counts counts);
    void wake_at(std::optional<TimePoint> at);
    void on_news(const ProcessNews& news);
    void forget_departed();
    ModelProcess& process_of(const ModelId& model);
    [[nodiscard]] Duration grace_of(const ModelId& model);

    boost::asio::any_io_executor executor_;
    Launcher& launcher_;
    Prober& prober_;
    std::shared_ptr<const Config> config_;
    Scheduler scheduler_;
    std::deque<SchedulerEvent> events_;
    bool stepping_ = false;
    bool abandoned_ = false;
    Ticket last_ticket_ = 0;
    std::unordered_map<Ticket, Waiter*> waiters_;
    // Only models that were started since they are configured: 500 idle ones cost nothing.
    std::unordered_map<ModelId, std::shared_ptr<ModelProcess>> processes_;
    struct Ending {
        Generation generation = 0;
        PostMortem story;
    };
    std::deque<Ending> endings_;  // the last few, newest last
    boost::asio::steady_timer timer_;
    std::uint64_t armed_ = 0;
    Wakeup changed_;
    std::vector<Fleet::OnNews> listeners_;
    TaskGroup tasks_;
};

/// The inside of a lease. Outliving the fleet is harmless.
class Lease::Impl {
public:
    Impl(std::weak_ptr<Yard> yard, std::shared_ptr<const ModelConfig> model,
         std::shared_ptr<const Endpoint> endpoint, Generation generation, Counts counts);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    const std::weak_ptr<Yard> yard;
    const std::shared_ptr<const ModelConfig> model;
    const std::shared_ptr<const Endpoint> endpoint;
    const Generation generation;
    const Counts counts;
};

}  // namespace corral
