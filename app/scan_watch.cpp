#include "app/scan_watch.hpp"

#include "core/debounce.hpp"
#include "discovery/naming.hpp"
#include "discovery/text.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <set>
#include <sys/signalfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t folders_max = 5'000;
constexpr int depth_max = 64;
constexpr Duration quiet{1'000};
constexpr Duration longest_delay{10'000};
/// How often is looked where inotify does not help: shares of other machines, too many folders.
constexpr Duration look_every{30'000};

/// SIGINT and SIGTERM as something to wait for, while this lives: a scan under way is finished.
class EndSignals {
public:
    EndSignals() {
        sigset_t signals;
        ::sigemptyset(&signals);
        ::sigaddset(&signals, SIGINT);
        ::sigaddset(&signals, SIGTERM);
        ::sigprocmask(SIG_BLOCK, &signals, &before_);
        descriptor_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    EndSignals(const EndSignals&) = delete;
    EndSignals& operator=(const EndSignals&) = delete;
    ~EndSignals() {
        ::close(descriptor_);
        ::sigprocmask(SIG_SETMASK, &before_, nullptr);
    }

    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    /// True when one has come.
    bool take() noexcept {
        signalfd_siginfo signal{};
        bool taken = false;
        while (::read(descriptor_, &signal, sizeof signal) == sizeof signal) {
            taken = true;
        }
        return taken;
    }

private:
    int descriptor_ = -1;
    sigset_t before_{};
};

/// Waits until events are there, or a time has come. False when it is time to end: by a signal, or
/// because nobody reads our output any more.
bool wait_for_events(int descriptor, EndSignals& signals, TimePoint until) {
    const auto left = std::chrono::duration_cast<Duration>(until - Clock::now()).count();
    const int timeout = static_cast<int>(std::clamp<Duration::rep>(left, 0, 3'600'000));
    // poll() passes over negative descriptors.
    std::array<pollfd, 3> watched{
        {{STDOUT_FILENO, 0, 0}, {signals.descriptor(), POLLIN, 0}, {descriptor, POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), timeout);
    return (watched[0].revents & POLLERR) == 0 && !signals.take();
}

/// What is watched, from one scan to the next: what comes while a scan is under way is not lost.
class ModelWatch {
public:
    explicit ModelWatch(std::vector<std::string> directories)
        : directories_(std::move(directories)), folders_(with_folders(directories_)) {
        Result<FileWatcher> watcher = FileWatcher::open();
        if (!watcher) {
            std::fprintf(stderr, "corral scan: %s\n", escaped(watcher.error().detail).c_str());
        } else {
            watcher_.emplace(std::move(*watcher));
            watch_folders();
        }
        static_cast<void>(files_.settled(folders_));  // the first look: what there is
    }

    [[nodiscard]] const std::vector<std::string>& directories() const { return directories_; }

    /// Until something has changed and is at rest again. False to end.
    bool wait(EndSignals& signals) {
        while (true) {
            const TimePoint until = debounce_.due().value_or(
                Clock::now() + (watcher_ ? Duration(3'600'000) : look_every));
            if (!wait_for_events(watcher_ ? watcher_->descriptor() : -1, signals, until)) {
                return false;
            }
            if (watcher_ && watcher_->on_readable()) {
                debounce_.note(Clock::now());
            }
            if (Clock::now() >= until && look()) {
                return true;
            }
        }
    }

private:
    void watch_folders() {
        if (const Result<void> done = watcher_->watch(folders_); !done) {
            std::fprintf(stderr, "corral scan: %s; it is looked at every 30 seconds instead\n",
                         escaped(done.error().detail).c_str());
            watcher_.reset();
        }
    }

    /// True when something has changed, and nothing since the last look.
    bool look() {
        folders_ = with_folders(directories_);
        const bool is_settled = files_.settled(folders_);
        const bool is_noted = debounce_.due().has_value();
        debounce_.clear();
        if (!is_settled) {  // still growing, or seen for the first time: look once more
            debounce_.note(Clock::now());
        }
        if (watcher_) {  // new folders are watched, too
            watch_folders();
        }
        return is_noted && is_settled;
    }

    std::vector<std::string> directories_;
    std::vector<fs::path> folders_;
    std::optional<FileWatcher> watcher_;
    GrowingFiles files_;
    Debounce debounce_{quiet, longest_delay};
};

}  // namespace

bool GrowingFiles::settled(const std::vector<fs::path>& directories) {
    std::map<std::string, FileFingerprint> now;
    for (const fs::path& directory : directories) {
        std::error_code error;
        for (fs::directory_iterator at(directory, error), end; !error && at != end;
             at.increment(error)) {
            const std::string path = at->path().string();
            if (has_gguf_suffix(path)) {
                now.emplace(path, identify(path));
            }
        }
    }
    const bool same = now == last_;
    last_ = std::move(now);
    return same;
}

std::vector<fs::path> with_folders(const std::vector<std::string>& directories) {
    std::vector<fs::path> out;
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    std::vector<std::pair<fs::path, int>> open;
    for (const std::string& directory : directories) {
        open.emplace_back(directory, 0);
    }
    while (!open.empty() && out.size() < folders_max) {
        const auto [folder, depth] = open.back();
        open.pop_back();
        const FileFingerprint identity = identify(folder.string());
        std::error_code error;
        if (identity != FileFingerprint{} &&
            (!fs::is_directory(folder, error) ||
             !seen.insert({identity.device, identity.inode}).second)) {
            continue;
        }
        out.push_back(folder);  // one that is not there yet may come
        for (fs::directory_iterator at(folder, error), end; !error && at != end;
             at.increment(error)) {
            std::error_code ignored;
            if (depth < depth_max && at->is_directory(ignored)) {
                open.emplace_back(at->path(), depth + 1);
            }
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

void watch_and_scan(const std::function<std::vector<std::string>(bool only_news)>& scan) {
    EndSignals signals;
    std::vector<std::string> directories = scan(false);
    while (!directories.empty()) {
        ModelWatch watch(directories);
        directories = scan(true);  // what came before the watch began
        while (directories == watch.directories()) {
            if (!watch.wait(signals)) {
                return;
            }
            directories = scan(false);
        }
    }
}

}  // namespace corral
