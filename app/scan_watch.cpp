#include "app/scan_watch.hpp"

#include "core/debounce.hpp"
#include "discovery/naming.hpp"
#include "discovery/text.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <set>
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

/// Waits until events are there, or a time has come. False when nobody reads our output any more.
bool wait_for_events(int descriptor, TimePoint until) {
    const auto left = std::chrono::duration_cast<Duration>(until - Clock::now()).count();
    const int timeout = static_cast<int>(std::clamp<Duration::rep>(left, 0, 3'600'000));
    pollfd watched[2] = {{STDOUT_FILENO, 0, 0}, {descriptor, POLLIN, 0}};
    ::poll(watched, descriptor >= 0 ? 2 : 1, timeout);
    return (watched[0].revents & POLLERR) == 0;
}

/// The watcher for these directories; none where they cannot be watched.
std::optional<FileWatcher> watcher_of(const std::vector<fs::path>& folders) {
    Result<FileWatcher> watcher = FileWatcher::open();
    if (watcher) {
        const Result<void> done = watcher->watch(folders);
        if (done) {
            return std::move(*watcher);
        }
        std::fprintf(stderr, "corral scan: %s; it is looked at every 30 seconds instead\n",
                     escaped(done.error().detail).c_str());
        return std::nullopt;
    }
    std::fprintf(stderr, "corral scan: %s\n", escaped(watcher.error().detail).c_str());
    return std::nullopt;
}

/// Until something has changed and is at rest again. False to end.
bool wait_for_change(const std::vector<std::string>& directories) {
    std::vector<fs::path> folders = with_folders(directories);
    std::optional<FileWatcher> watcher = watcher_of(folders);
    GrowingFiles files;
    Debounce debounce(quiet, longest_delay);
    bool before = files.settled(folders);  // the first look: what there is
    while (true) {
        const TimePoint until =
            debounce.due().value_or(Clock::now() + (watcher ? Duration(3'600'000) : look_every));
        if (!wait_for_events(watcher ? watcher->descriptor() : -1, until)) {
            return false;
        }
        if (watcher && watcher->on_readable()) {
            debounce.note(Clock::now());
        }
        if (Clock::now() < until) {
            continue;
        }
        folders = with_folders(directories);
        before = files.settled(folders);
        const bool noted = debounce.due().has_value();
        if (noted && before) {
            return true;
        }
        if (!before) {  // still growing, or seen for the first time: look once more
            debounce.clear();
            debounce.note(Clock::now());
        }
        if (watcher) {  // new folders are watched, too
            static_cast<void>(watcher->watch(folders));
        }
    }
}

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

void watch_and_scan(const std::function<std::vector<std::string>()>& scan) {
    std::vector<std::string> directories = scan();
    while (!directories.empty() && wait_for_change(directories)) {
        directories = scan();
    }
}

}  // namespace corral
