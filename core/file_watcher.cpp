#include "core/file_watcher.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr int links_max = 40;    // as the kernel follows
constexpr int attempts_max = 8;  // to plan while somebody renames
constexpr std::uint32_t self_events = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t file_events = IN_CLOSE_WRITE | IN_ATTRIB;
constexpr std::uint32_t entry_events =
    IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB;

/// File systems whose files other machines change without a word to this kernel: NFS, SMB (three
/// generations), FUSE, 9P, Ceph, AFS.
constexpr std::array<std::uint32_t, 8> remote_file_systems{
    0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997, 0x00c36400, 0x5346414f};

bool is_remote(const std::string& directory) {
    struct statfs status {};
    return ::statfs(directory.c_str(), &status) == 0 &&
           std::find(remote_file_systems.begin(), remote_file_systems.end(),
                     static_cast<std::uint32_t>(status.f_type)) != remote_file_systems.end();
}

Error cannot_watch(const std::string& what, int why) {
    std::string detail = "cannot watch " + what + ": " + std::generic_category().message(why);
    if (why == ENOSPC) {
        detail += " (raise fs.inotify.max_user_watches with sysctl)";
    } else if (why == EMFILE) {
        detail += " (raise fs.inotify.max_user_instances with sysctl)";
    }
    return {Errc::io, Blame::internal, std::move(detail)};
}

/// A file that was just made by a writer who has not closed it: he will, and that is an event, too.
/// A second hard link has no writer, and what has bytes already is worth a look.
bool is_being_written(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
           status.st_size == 0;
}

std::deque<fs::path> words_of(const fs::path& path) {
    return {path.begin(), path.end()};
}

}  // namespace

Result<FileWatcher> FileWatcher::open() {
    const int descriptor = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (descriptor < 0) {
        return cannot_watch("files", errno);
    }
    return FileWatcher(descriptor);
}

FileWatcher::FileWatcher(FileWatcher&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), watched_(std::move(other.watched_)) {}

FileWatcher& FileWatcher::operator=(FileWatcher&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(watched_, other.watched_);
    return *this;
}

FileWatcher::~FileWatcher() {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
    }
}

// ---- what to watch ------------------------------------------------------------------------------

/// Walks the path as the kernel does. Each link on the way is a name that counts where it stands;
/// so is the first name that does not exist, and the last one.
void FileWatcher::follow(const fs::path& input, Plan& plan) {
    std::error_code ec;
    std::deque<fs::path> rest = words_of(fs::absolute(input, ec));
    fs::path current = "/";
    int links = 0;
    while (!rest.empty()) {
        const fs::path word = std::move(rest.front());
        rest.pop_front();
        if (word.empty() || word == "." || word == "/") {
            continue;
        }
        plan[current.string()];
        if (word == "..") {
            current = current.parent_path();
            continue;
        }
        const fs::path next = current / word;
        const fs::file_type type = fs::symlink_status(next, ec).type();
        if (type == fs::file_type::directory) {
            current = next;
            continue;
        }
        plan[current.string()].some.insert(word.string());
        if (type == fs::file_type::regular) {
            plan[next.string()].file = true;
        }
        if (type != fs::file_type::symlink || ++links > links_max) {
            return;
        }
        const fs::path target = fs::read_symlink(next, ec);
        if (target.is_absolute()) {
            current = "/";
        }
        const std::deque<fs::path> words = words_of(target);
        rest.insert(rest.begin(), words.begin(), words.end());
    }
    plan[current.string()].all = true;
}

Result<void> FileWatcher::watch(const std::vector<fs::path>& inputs) {
    Plan plan;
    // What is renamed between the look and the watch would be missed: look again afterwards.
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        Plan now;
        for (const fs::path& input : inputs) {
            follow(input, now);
        }
        if (attempt > 0 && now == plan) {
            break;
        }
        plan = std::move(now);
        if (auto done = carry_out(plan); !done) {
            return done;
        }
    }
    return {};
}

std::uint32_t FileWatcher::events_of(const Names& names) noexcept {
    if (names.file) {
        return self_events | file_events | IN_MASK_ADD;
    }
    const bool entries = names.all || !names.some.empty();
    return self_events | IN_ONLYDIR | IN_MASK_ADD | (entries ? entry_events : 0U);
}

Result<void> FileWatcher::carry_out(const Plan& plan) {
    std::unordered_map<int, Watched> watched;
    for (const auto& [path, names] : plan) {
        const bool entries = names.all || !names.some.empty();
        if (entries && is_remote(path)) {
            return Error(Errc::io, Blame::internal,
                         "cannot watch " + path + ": it is a file system of another machine");
        }
        const int watch = ::inotify_add_watch(descriptor_, path.c_str(), events_of(names));
        if (watch < 0) {
            const bool gone = errno == ENOENT || errno == ENOTDIR;  // the plan is made again
            if (gone || (!entries && errno == EACCES)) {
                continue;
            }
            return cannot_watch(path, errno);
        }
        Watched& entry = watched[watch];  // one directory may be known by two paths
        entry.path = path;
        entry.names.all = entry.names.all || names.all;
        entry.names.file = names.file;
        entry.names.some.insert(names.some.begin(), names.some.end());
    }
    for (const auto& [watch, old] : watched_) {
        if (!watched.contains(watch)) {
            ::inotify_rm_watch(descriptor_, watch);
        }
    }
    watched_ = std::move(watched);
    return {};
}

// ---- what happens -------------------------------------------------------------------------------

bool FileWatcher::on_readable() {
    bool changed = false;
    alignas(inotify_event) std::array<char, 16 * 1024> buffer{};
    while (true) {
        const ssize_t got = ::read(descriptor_, buffer.data(), buffer.size());
        if (got <= 0) {
            return changed;
        }
        std::size_t at = 0;
        while (at + sizeof(inotify_event) <= static_cast<std::size_t>(got)) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const char* name = buffer.data() + at + sizeof event;
            const std::string_view text(name, ::strnlen(name, event.len));
            changed = concerns_us(event.wd, event.mask, text) || changed;
            at += sizeof event + event.len;
        }
    }
}

bool FileWatcher::concerns_us(int watch, std::uint32_t mask, std::string_view name) {
    if ((mask & IN_Q_OVERFLOW) != 0) {
        return true;
    }
    const auto found = watched_.find(watch);
    if (found == watched_.end()) {
        return false;  // we have let it go
    }
    const Watched& watched = found->second;
    if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
        return true;
    }
    if (watched.names.file) {
        return true;
    }
    if (!watched.names.all && watched.names.some.find(name) == watched.names.some.end()) {
        return false;
    }
    const bool created = (mask & IN_CREATE) != 0;
    return !created || !is_being_written(watched.path + "/" + std::string(name));
}

}  // namespace corral
