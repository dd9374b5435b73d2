#pragma once
// cgroup v2, where the service manager has handed a group down to us (systemd's Delegate=): a group
// of its own for each launch, which holds its memory below the limit and ends its whole tree at
// once. Used by the launcher; main thread. A few small writes a launch, nothing in between.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace corral {

/// The directory of a process's own cgroup v2, from the texts of /proc/self/mountinfo and
/// /proc/self/cgroup; nothing when the hierarchy is not mounted, or the group is not below the
/// mount. Pure.
[[nodiscard]] std::optional<std::string> own_cgroup(std::string_view mountinfo,
                                                    std::string_view cgroup);

/// The number behind a key in a flat keyed file such as memory.events. Pure.
[[nodiscard]] std::uint64_t cgroup_count(std::string_view text, std::string_view key) noexcept;

/// The group of one launch. Removed with the object, when nobody is in it any more.
class Cgroup {
public:
    explicit Cgroup(std::string directory);
    ~Cgroup();
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;

    /// Above this its processes are ended, all of them; swap does not count as room. False when it
    /// could not be set.
    [[nodiscard]] bool limit_memory(std::uint64_t bytes);
    /// Open for writing, above 2: a process that writes "0" there belongs to it, with all that it
    /// starts.
    [[nodiscard]] int procs() const noexcept { return procs_; }
    [[nodiscard]] bool holds(pid_t pid) const;
    /// SIGKILL to everybody in it at once. False where the kernel cannot (before 5.14).
    bool kill() noexcept;
    /// Processes of it that the OOM killer took, whoever had run out of memory.
    [[nodiscard]] std::uint64_t oom_kills() const;
    /// How often it had reached its own limit and nothing could be taken back.
    [[nodiscard]] std::uint64_t limit_reached() const;
    /// The most memory that it ever had; 0: the kernel does not tell (before 5.19).
    [[nodiscard]] std::uint64_t peak() const;

private:
    [[nodiscard]] std::string text_of(std::string_view file) const;
    const std::string directory_;
    int procs_ = -1;
};

/// Our own group, and those that we make below it.
class CgroupHome {
public:
    /// Whether the manager of cgroups has handed this directory down to us.
    using IsDelegated = std::function<bool(const std::string&)>;

    /// Finds it and makes it ready: this process, and the others in it, move to a group of their
    /// own below it, because a group that has groups with controllers may hold no process itself.
    /// Nothing where no group was delegated, or none with the memory controller, or it cannot be
    /// written. `root` is put before every path.
    [[nodiscard]] static std::unique_ptr<CgroupHome> open(const std::string& root,
                                                          const IsDelegated& is_delegated);
    /// Requires: `directory` is ready. For open().
    explicit CgroupHome(std::string directory) : directory_(std::move(directory)) {}
    /// A new group; nothing when it cannot be made.
    [[nodiscard]] std::unique_ptr<Cgroup> make();

private:
    void remove_leftovers() const;
    const std::string directory_;
    std::uint64_t last_ = 0;
};

/// What systemd says of a directory: its extended attribute user.delegate or trusted.delegate.
[[nodiscard]] bool is_delegated_by_systemd(const std::string& directory);

}  // namespace corral
