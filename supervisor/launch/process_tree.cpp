// Reading /proc. Descendants are found through /proc/PID/task/TID/children, which costs one small
// file a thread of the tree; kernels without it (CONFIG_PROC_CHILDREN) cost a walk over all of
// /proc.

#include "supervisor/launch/process_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/syscall.h>
#include <unistd.h>
#include <unordered_set>

namespace corral {
namespace {

constexpr std::size_t environment_bytes_max = 1 << 20;
constexpr std::size_t descendants_max = 1 << 16;

/// A descriptor that closes itself.
class File {
public:
    explicit File(int fd) noexcept : fd_(fd) {}
    ~File() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool ok() const noexcept { return fd_ >= 0; }

    /// read(2) that goes on after a signal; 0 at the end and for errors.
    std::size_t read(char* to, std::size_t size) const noexcept {
        ssize_t n = 0;
        do {
            n = ::read(fd_, to, size);
        } while (n < 0 && errno == EINTR);
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }

private:
    int fd_;
};

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

using Path = std::array<char, 64>;

/// A path below /proc, without allocating.
template <class... Args>
Path path_of(std::string_view format, Args... args) {
    Path path{};
    fmt::format_to_n(path.data(), path.size() - 1, fmt::runtime(format), args...);
    return path;
}

/// The next number of a line of numbers; moves `text` behind it.
template <class T>
bool take_number(std::string_view& text, T& value) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) {
        text.remove_prefix(1);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

/// Numeric entries of a directory below /proc.
std::vector<pid_t> numbered_entries(const char* path) {
    std::vector<pid_t> out;
    const Directory directory(::opendir(path));
    while (directory) {
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr) {
            break;
        }
        std::string_view name(entry->d_name);
        pid_t number = 0;
        if (take_number(name, number) && name.empty()) {
            out.push_back(number);
        }
    }
    return out;
}

bool has_children_files() noexcept {
    return ::access("/proc/thread-self/children", R_OK) == 0;
}

void append_children(pid_t pid, pid_t tid, std::vector<pid_t>& out) {
    const auto path = path_of("/proc/{}/task/{}/children", pid, tid);
    const File file(::open(path.data(), O_RDONLY | O_CLOEXEC));
    if (!file.ok()) {
        return;
    }
    std::string text;
    std::array<char, 4096> chunk{};
    while (const std::size_t n = file.read(chunk.data(), chunk.size())) {
        text.append(chunk.data(), n);
    }
    std::string_view rest(text);
    pid_t child = 0;
    while (take_number(rest, child)) {
        out.push_back(child);
    }
}

/// All processes there are; for kernels without children files.
std::vector<ProcessInfo> all_processes() {
    std::vector<ProcessInfo> out;
    for (const pid_t pid : numbered_entries("/proc")) {
        if (const auto info = read_process(pid)) {
            out.push_back(*info);
        }
    }
    return out;
}

void walk_descendants(pid_t root, const std::function<void(const ProcessInfo&)>& see) {
    std::unordered_set<pid_t> seen{root};
    std::vector<pid_t> todo{root};
    while (!todo.empty() && seen.size() < descendants_max) {
        const auto children = children_of(todo.back());
        todo.pop_back();
        for (auto child = children.rbegin(); child != children.rend(); ++child) {
            const auto info = read_process(*child);
            if (info && !info->ended() && seen.insert(*child).second) {
                see(*info);
                todo.push_back(*child);
            }
        }
    }
}

}  // namespace

std::optional<ProcessInfo> parse_process_stat(std::string_view text) noexcept {
    ProcessInfo info;
    if (!take_number(text, info.pid)) {
        return std::nullopt;
    }
    // "pid (name) state …": the name may hold parentheses and newlines, so the last one counts.
    const auto name_end = text.rfind(')');
    if (!text.starts_with(" (") || name_end == std::string_view::npos) {
        return std::nullopt;
    }
    text.remove_prefix(name_end + 1);
    if (text.size() < 3 || text[0] != ' ') {
        return std::nullopt;
    }
    info.state = text[1];
    text.remove_prefix(2);
    bool ok = take_number(text, info.parent) && take_number(text, info.group) &&
              take_number(text, info.session);
    // None of the fields in between needs all of an unsigned 64-bit number on Linux.
    for (int field = 7; ok && field <= 21; ++field) {
        std::int64_t value = 0;
        ok = take_number(text, value);
        info.threads = field == 20 ? value : info.threads;
    }
    if (!ok || !take_number(text, info.start_ticks)) {
        return std::nullopt;
    }
    return info;
}

std::optional<ProcessInfo> read_process(pid_t pid) noexcept {
    const File file(::open(path_of("/proc/{}/stat", pid).data(), O_RDONLY | O_CLOEXEC));
    if (!file.ok()) {
        return std::nullopt;
    }
    std::array<char, 2048> text{};
    const std::size_t size = file.read(text.data(), text.size());
    return parse_process_stat(std::string_view(text.data(), size));
}

std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> out;
    if (has_children_files()) {
        for (const pid_t tid : numbered_entries(path_of("/proc/{}/task", pid).data())) {
            append_children(pid, tid, out);
        }
        return out;
    }
    for (const auto& info : all_processes()) {
        if (info.parent == pid) {
            out.push_back(info.pid);
        }
    }
    return out;
}

void each_descendant(pid_t root, const std::function<void(const ProcessInfo&)>& see) {
    if (has_children_files()) {
        walk_descendants(root, see);
        return;
    }
    for (const auto& info : descendants_by_parent(root)) {
        see(info);
    }
}

std::vector<ProcessInfo> descendants_of(pid_t root) {
    std::vector<ProcessInfo> out;
    each_descendant(root, [&out](const ProcessInfo& info) { out.push_back(info); });
    return out;
}

std::vector<ProcessInfo> descendants_by_parent(pid_t root) {
    const auto all = all_processes();
    std::vector<ProcessInfo> out;
    std::unordered_set<pid_t> family{root};
    for (bool grown = true; grown;) {
        grown = false;
        for (const auto& info : all) {
            if (family.contains(info.parent) && family.insert(info.pid).second) {
                grown = true;
                if (!info.ended()) {
                    out.push_back(info);
                }
            }
        }
    }
    return out;
}

bool signal_process(const ProcessInfo& process, int signal) noexcept {
    const File handle(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    const int why = handle.ok() ? 0 : errno;
    // Read after the handle was opened: what has this start time now is what the handle means.
    const auto now = read_process(process.pid);
    if (!now || now->start_ticks != process.start_ticks || now->ended()) {
        return false;
    }
    if (handle.ok()) {
        return ::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0) == 0;
    }
    // Without pidfd (a seccomp filter, an old kernel) the window between look and kill is tiny.
    return (why == ENOSYS || why == EPERM || why == EMFILE || why == ENFILE) &&
           ::kill(process.pid, signal) == 0;
}

std::optional<std::string> read_environment(pid_t pid, std::string_view name) {
    const File file(::open(path_of("/proc/{}/environ", pid).data(), O_RDONLY | O_CLOEXEC));
    if (!file.ok()) {
        return std::nullopt;
    }
    std::string text;
    std::array<char, 4096> chunk{};
    while (text.size() < environment_bytes_max) {
        const std::size_t n = file.read(chunk.data(), chunk.size());
        if (n == 0) {
            break;
        }
        text.append(chunk.data(), n);
    }
    for (std::string_view rest(text); !rest.empty();) {
        const auto entry = rest.substr(0, rest.find('\0'));
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
            return std::string(entry.substr(name.size() + 1));
        }
        rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    }
    return std::nullopt;
}

}  // namespace corral
