#pragma once
// The shell around one model's ProcessFsm: launches, probes, stops, and keeps its timer. It decides
// nothing. One per model that was ever started; main loop only. Used by the yard, by nobody else.

#include "core/config.hpp"
#include "core/endpoint.hpp"
#include "core/error.hpp"
#include "supervisor/fleet/prober.hpp"
#include "supervisor/fleet/process_news.hpp"
#include "supervisor/fleet/task_group.hpp"
#include "supervisor/launch/launcher.hpp"
#include "supervisor/logic/process_fsm.hpp"
#include "supervisor/logic/scheduler_messages.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

class ModelProcess : public std::enable_shared_from_this<ModelProcess> {
public:
    using OnNews = std::function<void(const ProcessNews&)>;

    /// Borrows launcher, prober and tasks until abandon(). `on_news` is called from within the
    /// calls below and from the loop.
    ModelProcess(boost::asio::any_io_executor executor, Launcher& launcher, Prober& prober,
                 TaskGroup& tasks, ModelId id, OnNews on_news);
    ~ModelProcess();

    /// Begins a run. Requires: it is at rest, and the model stands in the config.
    void start(std::shared_ptr<const Config> config, Generation generation);
    /// The config has changed. Takes what the run in progress can still use of it (how to stop it,
    /// where to ask whether it is ready), unless the model is another one now.
    void adopt(const std::shared_ptr<const Config>& config);
    /// SIGTERM (or the stop command) now, SIGKILL after `grace`; the news tell when it has ended.
    void stop(StopReason reason, Duration grace);
    /// Of a failure nothing is to be told any more. Requires: it is at rest.
    void forget();
    /// The owner goes: kills what runs without waiting, and never calls anybody again.
    void abandon() noexcept;

    [[nodiscard]] ProcessState state() const noexcept { return fsm_.state(); }
    [[nodiscard]] Generation generation() const noexcept { return generation_; }
    [[nodiscard]] pid_t pid() const noexcept;
    [[nodiscard]] std::uint16_t port() const noexcept;
    /// Of the current or last run; null when there was none.
    [[nodiscard]] const std::shared_ptr<const Endpoint>& endpoint() const noexcept;
    /// The unload timeout of the config it was started with.
    [[nodiscard]] Duration grace() const noexcept;
    /// Why the last start or run ended badly; empty when it did not.
    [[nodiscard]] const std::string& last_failure() const noexcept { return last_failure_; }
    /// The same as data; null when it did not.
    [[nodiscard]] const std::shared_ptr<const Failure>& failure() const noexcept {
        return failure_;
    }
    /// When it came into its state; nothing before its first start.
    [[nodiscard]] const std::optional<std::chrono::system_clock::time_point>& since()
        const noexcept {
        return entered_at_;
    }

private:
    struct Run;
    using RunPtr = std::shared_ptr<Run>;
    using Self = std::shared_ptr<ModelProcess>;

    void feed(const ProcessEvent& event);
    void carry_out(const ProcessCommand& command);
    void spawn(bool other_port);
    Result<RunPtr> launch(bool other_port);
    void terminate();
    void arm(TimePoint at);
    void announce(const Announce& news);
    [[nodiscard]] std::optional<Error> error_of(const Announce& news);
    [[nodiscard]] std::string asked_address() const;
    [[nodiscard]] std::string ending_of(const Announce& news) const;
    void log_transition(const Announce& news) const;
    void on_exit(const RunPtr& run, ExitStatus status);
    [[nodiscard]] LaunchSpec spec_for(const std::vector<std::string>& words, const Run& run) const;
    [[nodiscard]] std::string output_of(const Run& run) const;
    [[nodiscard]] std::string check_path_of(const Run& run) const;
    [[nodiscard]] Duration since(TimePoint then) const;

    [[nodiscard]] bool answers_itself(Run& run) const;

    static boost::asio::awaitable<void> until_memory_is_back(Self self, RunPtr run);
    static boost::asio::awaitable<void> watch(Self self, RunPtr run);
    static boost::asio::awaitable<void> probe(Self self, RunPtr run);
    static boost::asio::awaitable<void> watch_for_stall(Self self, RunPtr run);
    static boost::asio::awaitable<void> run_stop_commands(Self self, RunPtr run, bool has_hook);
    static boost::asio::awaitable<void> stop_commands(Self self, RunPtr run, bool has_hook);
    static boost::asio::awaitable<std::string> run_command(Self self, RunPtr run, LaunchSpec spec,
                                                           Duration patience);
    static boost::asio::awaitable<void> run_hook(Self self, RunPtr run, std::string name,
                                                 std::vector<std::string> words, Duration patience);
    void start_hook(const RunPtr& run, std::string name, const std::vector<std::string>& words);
    void end_stop_commands(const RunPtr& run);
    void warn_of_command(const Run& run, std::string_view name, std::string_view failure) const;
    static boost::asio::awaitable<bool> pause_between_probes(RunPtr run, TimePoint asked);

    boost::asio::any_io_executor executor_;
    Launcher& launcher_;
    Prober& prober_;
    TaskGroup& tasks_;
    const ModelId id_;
    OnNews on_news_;

    ProcessFsm fsm_;
    std::deque<ProcessEvent> events_;  // those that arise while commands are carried out
    bool feeding_ = false;
    bool abandoned_ = false;
    boost::asio::steady_timer timer_;
    std::uint64_t armed_ = 0;  // counts arms and cancels: an older expiry is void

    std::shared_ptr<const Config> config_;  // of the current or last start, or a later equal one
    const ModelConfig* model_ = nullptr;    // in it
    Generation generation_ = 0;
    TimePoint started_{};  // of the current or last start
    TimePoint stop_began_{};
    std::optional<StopReason> stop_reason_;
    RunPtr run_;  // null when no process runs
    std::shared_ptr<const Endpoint> endpoint_;
    std::string launch_error_;  // why the last launch failed
    pid_t last_pid_ = 0;        // of the current or last run
    ExitStatus last_status_;
    std::string last_output_;
    std::string last_failure_;
    std::shared_ptr<const Failure> failure_;  // of last_failure_
    TimePoint entered_{};                     // the state that it is in
    std::optional<std::chrono::system_clock::time_point> entered_at_;
    bool place_taken_ = false;  // the last run: somebody else answered at its address
    bool was_ready_ = false;    // the current or last run
};

}  // namespace corral
