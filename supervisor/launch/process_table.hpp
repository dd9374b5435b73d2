#pragma once
// The launched processes of this program: who has ended, who is left of whose tree, and who has to
// be reaped. One table a launcher; main thread, on the main loop. Makes this process a subreaper:
// what double-forks or calls setsid() below a child comes back here as our own child and is found
// so. Never takes the exit status of a process that somebody else in this program started.

#include "core/time.hpp"
#include "supervisor/launch/cgroup.hpp"
#include "supervisor/launch/launcher.hpp"
#include "supervisor/launch/memory_watch.hpp"
#include "supervisor/launch/output_pump.hpp"
#include "supervisor/launch/process_tree.hpp"
#include "supervisor/logic/process_state.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace corral {

/// One launch: a main process, which leads a session and a group, and its tree. running → sweeping
/// (the main process has ended, the rest is being killed) → gone. The zombie of the main process is
/// kept until the end, so that its pid, and the group's and the session's, can mean nobody else.
struct Run {
    enum class Stage { running, sweeping, gone, forgotten };

    Run(const boost::asio::any_io_executor& executor, std::string model_name, std::string run_token)
        : model(std::move(model_name)),
          token(std::move(run_token)),
          changed(executor, TimePoint::max()) {}

    std::string model;
    std::string token;  ///< value of run_variable in the environment of everything below
    ProcessInfo main;
    std::shared_ptr<OutputPump> pump;
    std::uint64_t memory_limit = 0;             ///< bytes; 0: none
    std::uint64_t memory_had = 0;               ///< more than the limit: it is being ended for that
    std::unique_ptr<Cgroup> cgroup;             ///< null: it has none of its own
    std::shared_ptr<MemoryWatch> memory_watch;  ///< where no cgroup keeps to the limit
    std::optional<std::uint64_t> oom_kills;     ///< of the whole machine when it was started
    Stage stage = Stage::running;
    bool terminated = false;  ///< the tree got SIGTERM
    bool killed = false;      ///< somebody has lost patience with the whole tree
    bool abandoned = false;   ///< nobody holds the Child any more
    ExitStatus status;        ///< from `sweeping` on
    TimePoint spare_until;    ///< until then the sweep leaves alone who got SIGTERM
    TimePoint give_up;        ///< end of the sweeping, or of the patience with an abandoned one
    boost::asio::steady_timer changed;  ///< never expires; cancelled when the stage changes
};

class ProcessTable : public std::enable_shared_from_this<ProcessTable> {
public:
    /// After the main process has ended, its tree is killed for at most this long.
    static constexpr Duration sweep_time = Duration(5000);
    /// Of that, what is left of a tree that got SIGTERM has this long to end by itself: a wrapper
    /// shell dies of it at once while the program that it started still puts its things in order.
    static constexpr Duration spare_time = Duration(3000);

    explicit ProcessTable(const boost::asio::any_io_executor& executor);
    ~ProcessTable();
    ProcessTable(const ProcessTable&) = delete;
    ProcessTable& operator=(const ProcessTable&) = delete;

    /// Watches a run whose process was just started. `gone` is called when it and its tree are
    /// gone.
    void add(std::shared_ptr<Run> run, std::function<void(pid_t)> gone);
    /// Looks at the memory of a run's tree from now on and ends it above its limit.
    void watch_memory(const std::shared_ptr<Run>& run);
    /// Who listens on a port, as the run sees it.
    [[nodiscard]] Listener listener_of(const Run& run, std::uint16_t port);
    /// Who listens on a Unix socket.
    [[nodiscard]] Listener listener_of(const Run& run, const std::string& path);
    void terminate(Run& run) noexcept;
    void kill(Run& run) noexcept;
    /// Kills, and from now on only reaps.
    void abandon(const std::shared_ptr<Run>& run) noexcept;

private:
    /// A child of ours that is no run's main process: it escaped from a tree and was handed to us.
    struct Adopted {
        ProcessInfo info;
        const Run* owner = nullptr;  ///< null and not `nobodys`: could be of several runs
        bool nobodys = false;        ///< no run that is still there can have made it
    };
    struct Listing {
        std::vector<Adopted> alive;
        /// False when something had ended, or there were too many to look at in one turn: what ends
        /// may have forked just before, so only a listing that finds nothing of the kind proves
        /// that nothing is left.
        bool settled = true;
    };
    struct Entry {
        std::shared_ptr<Run> run;
        std::function<void(pid_t)> gone;
    };

    void watch_children();
    void poll();
    void poll_later(Duration delay);
    void notice_ends(TimePoint now);
    [[nodiscard]] Listing reap_and_list_adopted();
    [[nodiscard]] Listener judge_holder(const Run& run, pid_t pid,
                                        const std::vector<pid_t>& members) const;
    [[nodiscard]] Adopted attribute(const ProcessInfo& info) const;
    [[nodiscard]] bool sweep(TimePoint now, const Listing& listing);
    [[nodiscard]] std::vector<pid_t> members_of(const Run& run);
    bool kill_strays(TimePoint now, const std::vector<Adopted>& adopted);
    void finish(Run& run, bool clean);
    static void kill_rest(const Run& run, TimePoint now, const std::vector<Adopted>& adopted);
    static void kill_tree(const Run& run, const std::vector<Adopted>& adopted);

    boost::asio::any_io_executor executor_;
    std::vector<Entry> entries_;
    boost::asio::signal_set child_signal_;
    boost::asio::steady_timer next_poll_;
    bool watching_ = false;
    Duration pause_ = Duration(1);
    std::optional<TimePoint> strays_since_;  ///< when nobody's processes were first seen
};

}  // namespace corral
