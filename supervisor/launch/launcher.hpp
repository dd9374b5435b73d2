#pragma once
// One OS process and everything that descends from it: started, watched, ended. The interface that
// the fleet uses and tests replace; the real one is made by make_os_launcher(). Main thread only:
// models are forked from the main thread because PDEATHSIG belongs to the forking thread.

#include "core/error.hpp"
#include "core/gpu_reading.hpp"
#include "core/model_config.hpp"
#include "supervisor/logic/process_state.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corral {

/// What to start: words for execve (argv[0] looked up on PATH), and NAME=value entries that are
/// added to Corral's own environment (minus NOTIFY_SOCKET, LISTEN_*, WATCHDOG_*, CORRAL_*).
struct LaunchSpec {
    std::string model;  ///< for the log and for telling processes of two models apart
    std::vector<std::string> argv;
    std::vector<std::string> env;
    ModelLimits limits = {};
    /// cmdStop, ${PID} still in it: remembered on disk while the process runs, and run after a
    /// crash of Corral. Empty: nothing is remembered.
    std::vector<std::string> stop = {};
    /// Keys of Corral's own: variables of its environment that carry one are not inherited.
    std::vector<std::string> keys = {};
};

/// Who listens on a TCP port or a Unix socket of this machine, as far as it can be read.
enum class ListenerOwner : std::uint8_t {
    ours,     ///< the child or something that it started
    foreign,  ///< another model, or somebody who was there before the child
    unknown,  ///< nobody that can be seen: a container, another user's process, another machine
};
struct Listener {
    ListenerOwner owner = ListenerOwner::unknown;
    pid_t pid = 0;          ///< of a foreign one
    std::string name = {};  ///< what its program calls itself; any bytes
};

/// A running process tree. Destroying it kills what is left of the tree without waiting.
class Child {
public:
    virtual ~Child() = default;
    [[nodiscard]] virtual pid_t pid() const noexcept = 0;
    /// Completes when the main process was reaped *and* what remained of its tree was killed and is
    /// gone (bounded: 5 s after the main process; of a tree that got terminate() the rest has 3 s
    /// of these to end by itself, unless kill() comes). Cancelled, or without its launcher, it
    /// throws operation_aborted; it may be called again.
    [[nodiscard]] virtual boost::asio::awaitable<ExitStatus> wait_exit() = 0;
    /// SIGTERM to the process group, and to what has left it. No effect when it has ended.
    virtual void terminate() noexcept = 0;
    /// SIGKILL to every process of the tree, those that left the group or session included.
    virtual void kill() noexcept = 0;
    /// Who answers on this port at the loopback addresses. Looks at the child's tree first, which
    /// is cheap; reads all of /proc only when it is none of the tree.
    [[nodiscard]] virtual Listener listener([[maybe_unused]] std::uint16_t port) const {
        return {};
    }
    /// Who answers on the Unix socket at this path.
    [[nodiscard]] virtual Listener listener_at([[maybe_unused]] const std::string& path) const {
        return {};
    }
    /// The last complete lines of stdout and stderr, oldest first, joined by newlines, each at most
    /// 512 bytes, control characters but tabs removed.
    [[nodiscard]] virtual std::string last_lines(std::size_t count) const = 0;
    /// A number that is another one when the tree has printed or read something since it was asked
    /// last; nullopt when that cannot be told.
    [[nodiscard]] virtual std::optional<std::uint64_t> activity() const { return std::nullopt; }
    /// `heard` is called from the loop whenever the process has written something, at most once a
    /// turn. An empty function ends that. What it uses must outlive this child or be held by it.
    virtual void on_output(std::function<void()> heard) = 0;
};

class Launcher {
public:
    virtual ~Launcher() = default;
    /// Starts a process: own session and group, descriptors 0–2 only, clean signal mask, PDEATHSIG,
    /// Corral's working directory. `nice` and `oomScoreAdj` that the system refuses are warned of;
    /// a tree above its memory limit is ended, by its cgroup or by us.
    /// Returns after exec succeeded, or start_failed with a reason that names the program but not
    /// its arguments.
    [[nodiscard]] virtual Result<std::unique_ptr<Child>> launch(const LaunchSpec& spec) = 0;
    /// A TCP port on which a server can listen now: `preferred` if it is free, else another one.
    [[nodiscard]] virtual Result<std::uint16_t> free_port(std::uint16_t preferred) = 0;
    /// Removes the socket that a dead server has left at this path, if there is one: most servers
    /// cannot listen where such a file lies.
    virtual void clear_socket_file([[maybe_unused]] const std::string& path) {}
    /// Bytes in use on this machine's GPUs; nothing when it has none that can be read.
    [[nodiscard]] virtual std::optional<std::uint64_t> gpu_memory_used() { return std::nullopt; }
    /// What each of these GPUs tells of itself.
    [[nodiscard]] virtual std::vector<GpuReading> gpu_readings() { return {}; }
};

/// Gets each line of a model's output, raw but for a cut at 16 KiB, without its line end.
using OnOutputLine = std::function<void(std::string_view model, std::string_view line)>;

struct LauncherOptions {
    /// The directory for what only a stop command can end (leftovers.hpp); empty: none is noted.
    std::string leftovers;
    std::uint64_t open_files = 0;  ///< soft limit of its children's descriptors; 0: as ours is now
    OnOutputLine on_line;          ///< called from the loop; may neither start nor end processes
};

/// The launcher for real processes. The executor must be that of the main thread's loop and outlive
/// the launcher and its children. One at a time in a process: it makes this process a subreaper and
/// kills what is handed to it that no launch of its own accounts for.
[[nodiscard]] std::unique_ptr<Launcher> make_os_launcher(boost::asio::any_io_executor executor,
                                                         LauncherOptions options = {});

}  // namespace corral
