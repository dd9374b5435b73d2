#pragma once
// The yard: which models run, who waits for which, who may use which. The only door between the
// sessions and the models. All of it lives on one executor (the main loop); nothing here blocks.
// Decisions are supervisor/logic's; this carries them out.

#include "core/config.hpp"
#include "core/endpoint.hpp"
#include "core/error.hpp"
#include "core/failure.hpp"
#include "core/time.hpp"
#include "supervisor/fleet/prober.hpp"
#include "supervisor/fleet/process_news.hpp"
#include "supervisor/launch/launcher.hpp"
#include "supervisor/logic/process_state.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace corral {

/// The right to use a ready model. While it exists the model counts as in flight and is not stopped
/// for another one; its destruction is the end of the request and starts the TTL. One that was
/// attached counts for nothing: its model may stop at any time.
class Lease {
public:
    class Impl;
    explicit Lease(std::unique_ptr<Impl> impl) noexcept;
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) noexcept;
    ~Lease();

    [[nodiscard]] const Endpoint& endpoint() const noexcept;
    [[nodiscard]] const ModelConfig& model() const noexcept;
    /// Which start of the model this is: connections of an earlier one must not be used.
    [[nodiscard]] std::uint64_t generation() const noexcept;
    /// For a use without an end of its own, which would be waited for without end: completes when
    /// the model has been told to go (unload, a new config, shutdown; swap and TTL, which wait for
    /// a lease, only for one that does not count) or has gone. The lease need not live so long.
    [[nodiscard]] boost::asio::awaitable<void> until_told_to_go() const;

private:
    friend class Fleet;
    std::unique_ptr<Impl> impl_;
};

/// A snapshot of one model for listings. Advisory: it may be out of date when it is read.
struct ModelStatus {
    ModelId id;
    ProcessState state = ProcessState::stopped;
    pid_t pid = 0;           ///< 0 when no process runs
    std::uint16_t port = 0;  ///< what ${PORT} is for this process; 0 when cmd has none
    std::uint32_t in_flight = 0;
    std::uint32_t waiting = 0;
    std::string last_failure;  ///< why the last start or run ended badly; empty when it did not
    std::shared_ptr<const Failure> failure;  ///< the same as data; null when it did not
    std::uint32_t failures = 0;              ///< in a row
    std::optional<Duration> retry_in;        ///< it rests: requests are refused so long
    /// When it came into its state; nothing for one that was never started.
    std::optional<std::chrono::system_clock::time_point> since;
};

/// How a process ended that a request was using.
struct PostMortem {
    std::string text;                        ///< for people; empty: it has not ended
    std::shared_ptr<const Failure> failure;  ///< null: it was told to end
};

/// Whether the end of a lease is what the TTL counts from.
enum class Touches : bool { no, yes };
/// Whether those in flight may end first.
enum class Unloading : std::uint8_t { drains, forced };

/// How a request stands that waits for its model. Advisory.
struct Standing {
    ProcessState state = ProcessState::stopped;  ///< of the model; stopped: its turn has not come
    std::uint32_t ahead = 0;                     ///< requests for other models that came earlier
};

class Fleet {
public:
    /// Called from the loop with every transition of a process, in their order and before anything
    /// follows from one: a model that is `stopping` has not been told to end yet.
    using OnNews = std::function<void(const ProcessNews&)>;
    /// Called from the loop, once, when an acquire() has to wait, with what standing() knows it by.
    using OnWait = std::function<void(std::uint64_t)>;

    /// Borrows launcher and prober: both must outlive the fleet. The executor is the main loop's.
    Fleet(boost::asio::any_io_executor executor, Launcher& launcher, Prober& prober,
          std::shared_ptr<const Config> config);
    ~Fleet();
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    /// Waits until the model is ready (starting it, and stopping others, as the groups say) and
    /// leases it. Errors: model_not_found, concurrency_limit, overloaded, start_failed (with exit
    /// status and last output lines), start_timeout, cooling_down (it failed again and again),
    /// unloaded, shutting_down, timed_out, cancelled.
    /// Cancelling it (whichever kind the caller's cancellation state lets through) leaves the
    /// queue; a load under way goes on. A lease that is granted at that moment goes back.
    [[nodiscard]] boost::asio::awaitable<Result<Lease>> acquire(ModelId model, TimePoint deadline,
                                                                OnWait on_wait = nullptr,
                                                                Touches touches = Touches::yes);
    [[nodiscard]] Standing standing(const ModelId& model, std::uint64_t waiter) const;

    /// The same without waiting: an answer when there is one at once (the model is ready and free,
    /// or the request is refused), else nothing, and nothing was asked for.
    [[nodiscard]] std::optional<Result<Lease>> try_acquire(const ModelId& model,
                                                           Touches touches = Touches::yes);

    /// Uses the model as it is, if it is ready, without counting: not in flight, not for the
    /// concurrency limit, not for the TTL, and no reason to wait for whoever wants it gone. Errors:
    /// model_not_found, shutting_down, conflict.
    [[nodiscard]] Result<Lease> attach(const ModelId& model);

    /// Stops the model after its requests in flight have ended, or at once; requests that wait for
    /// it get `unloaded`. Its failures are forgotten. Completes when it has stopped; at once when
    /// it does not run.
    [[nodiscard]] boost::asio::awaitable<Result<void>> unload(ModelId model,
                                                              Unloading how = Unloading::drains);
    /// The same for every model.
    [[nodiscard]] boost::asio::awaitable<void> unload_all(Unloading how = Unloading::drains);

    /// Forgets that the model failed: the next request tries it at once. Errors: model_not_found.
    [[nodiscard]] Result<void> reset(const ModelId& model);

    /// Ends everything: refuses waiters (shutting_down), waits up to `grace` for leases to end,
    /// then stops every model. Completes when no process is left. Later acquires get shutting_down.
    [[nodiscard]] boost::asio::awaitable<void> close(Duration grace);

    /// After a connection to the leased model broke: waits up to `patience` for its process to end
    /// and says how it did ("exit status 3; last output: …"); empty when it still runs.
    [[nodiscard]] boost::asio::awaitable<PostMortem> post_mortem(std::uint64_t generation,
                                                                 Duration patience);

    /// One model's state, cheaply: for choosing among several. Advisory; `stopped` for an unknown.
    [[nodiscard]] ProcessState state_of(const ModelId& model) const;
    /// All configured models in the order of the config. Advisory.
    [[nodiscard]] std::vector<ModelStatus> models() const;
    [[nodiscard]] std::shared_ptr<const Config> config() const noexcept;
    /// One more listener, for as long as the fleet lives. It may look at the fleet, not move it.
    void on_news(OnNews listener);
    /// From now on this config holds: models whose definition is unchanged keep running, others are
    /// stopped once their requests have ended.
    void apply(std::shared_ptr<const Config> config);

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace corral
