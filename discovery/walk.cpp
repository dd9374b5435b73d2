// The walk over model directories; see walk.hpp.

#include "discovery/walk.hpp"

#include "core/file.hpp"
#include "discovery/gguf_file.hpp"
#include "discovery/naming.hpp"
#include "discovery/sources.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <tuple>
#include <utility>

namespace corral {

namespace {

namespace fs = std::filesystem;

/// "x.gguf", and what downloaders make of that name while they are at it.
bool is_candidate(std::string_view name) {
    return has_gguf_suffix(name) ||
           (is_partial_download(name) && plain_name(name).find(".gguf") != std::string::npos);
}

class Walker {
public:
    explicit Walker(const WalkLimits& limits) : limits_(limits) {}

    Walk run(const std::vector<std::string>& roots) {
        for (const std::string& root : roots) {
            start(root);
            while (!pending_.empty() && !full_) {
                const Pending next = std::move(pending_.back());
                pending_.pop_back();
                if (is_new(next.directory) && !read_repository(next)) {
                    read_directory(next);
                }
            }
            pending_.clear();
        }
        return std::move(walk_);
    }

private:
    struct Pending {
        fs::path directory;
        std::size_t depth = 0;
        fs::path snapshot;  ///< of the hub's cache, that it lies in; empty: in none
    };

    void start(const std::string& root) {
        std::error_code error;
        const fs::path path = absolute_path(root);
        const fs::file_status status = fs::status(path, error);
        if (fs::is_regular_file(status)) {
            walk_.files.push_back(path.string());
        } else if (fs::is_directory(status)) {
            pending_.push_back({path, 0, {}});
        } else if (!fs::exists(status)) {
            const auto reason =
                error ? error : std::make_error_code(std::errc::no_such_file_or_directory);
            walk_.failed_roots.push_back({path.string(), reason.message()});
        } else {
            walk_.failed_roots.push_back({path.string(), "neither a directory nor a file"});
        }
    }

    /// False when this directory was read before, by whatever name.
    bool is_new(const fs::path& directory) {
        struct stat status {};
        return ::stat(directory.c_str(), &status) != 0 ||
               seen_.insert({status.st_dev, status.st_ino}).second;
    }

    /// True when this is a repository in the hub's cache; then its snapshots are pending. Data sets
    /// and spaces have many files and no models.
    bool read_repository(const Pending& pending) {
        const std::string name = pending.directory.filename().string();
        const std::string repository = hub_repository(name);
        const bool without_models = name.starts_with("datasets--") || name.starts_with("spaces--");
        std::error_code error;
        if ((repository.empty() && !without_models) ||
            !fs::is_directory(pending.directory / "snapshots", error)) {
            return false;
        }
        if (without_models) {
            return true;
        }
        std::vector<fs::path> snapshots = list_snapshots(pending.directory);
        // Last in, first out.
        std::reverse(snapshots.begin(), snapshots.end());
        for (const fs::path& snapshot : snapshots) {
            pending_.push_back({snapshot, pending.depth + 2, snapshot});
        }
        if (plain_name(repository).find("gguf") != std::string::npos) {
            tell_unfinished(pending.directory / "blobs");
        }
        return true;
    }

    /// The current one first, the others by age, the youngest first.
    std::vector<fs::path> list_snapshots(const fs::path& repository) {
        constexpr std::size_t commit_bytes_max = 256;
        std::string current;
        if (const Result<std::string> text =
                read_text_file((repository / "refs/main").string(), commit_bytes_max)) {
            current = text->substr(0, text->find_first_of(" \r\n"));
        }
        using Ranked = std::tuple<bool, fs::file_time_type, fs::path>;
        std::vector<Ranked> ranked;
        std::error_code error;
        fs::directory_iterator entries(repository / "snapshots", error);
        for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
            if (!count_entry(repository)) {
                break;
            }
            std::error_code ignored;
            const fs::path& path = entries->path();
            if (entries->is_directory(ignored)) {
                ranked.emplace_back(path.filename() == current, fs::last_write_time(path, ignored),
                                    path);
            }
        }
        std::sort(ranked.begin(), ranked.end(), std::greater<>());
        std::vector<fs::path> snapshots;
        for (Ranked& entry : ranked) {
            snapshots.push_back(std::move(std::get<fs::path>(entry)));
        }
        return snapshots;
    }

    void tell_unfinished(const fs::path& blobs) {
        std::error_code error;
        fs::directory_iterator entries(blobs, error);
        for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
            if (!count_entry(blobs)) {
                return;
            }
            if (is_partial_download(entries->path().filename().native())) {
                walk_.left_out.push_back(
                    {entries->path().string(), "a download that is not complete"});
            }
        }
    }

    struct Entries {
        std::vector<fs::path> files;
        std::vector<fs::path> directories;
    };

    Entries list_entries(const Pending& pending) {
        Entries found;
        std::error_code error;
        fs::directory_iterator entries(pending.directory, error);
        if (error) {
            auto& list = pending.depth == 0 ? walk_.failed_roots : walk_.left_out;
            list.push_back({pending.directory.string(), error.message()});
            return found;
        }
        for (; entries != fs::directory_iterator(); entries.increment(error)) {
            if (error || !count_entry(pending.directory)) {
                break;
            }
            std::error_code ignored;
            const std::string name = entries->path().filename().string();
            if (entries->is_directory(ignored)) {
                found.directories.push_back(entries->path());
            } else if (is_candidate(name)) {
                found.files.push_back(entries->path());
            } else if (name.starts_with("manifest=") && name.ends_with(".json")) {
                walk_.manifests[pending.directory.string()].push_back(name);
            }
        }
        if (error) {
            walk_.left_out.push_back({pending.directory.string(), error.message()});
        }
        return found;
    }

    void read_directory(const Pending& pending) {
        Entries found = list_entries(pending);
        std::sort(found.files.begin(), found.files.end());
        for (const fs::path& file : found.files) {
            add_file(file, pending.snapshot);
        }
        if (pending.depth + 1 > limits_.depth_max && !found.directories.empty()) {
            walk_.left_out.push_back({pending.directory.string(),
                                      fmt::format("more than {} directories deep: what lies below "
                                                  "was not looked at",
                                                  limits_.depth_max)});
            return;
        }
        std::sort(found.directories.begin(), found.directories.end(),
                  std::greater<>());  // last in, first out
        for (fs::path& next : found.directories) {
            pending_.push_back({std::move(next), pending.depth + 1, pending.snapshot});
        }
    }

    void add_file(const fs::path& file, const fs::path& snapshot) {
        if (!snapshot.empty()) {
            // The same repository and the same path within it: then the first one is the current.
            const fs::path inside = file.lexically_relative(snapshot);
            const fs::path key = snapshot.parent_path() / inside;
            const auto [current, is_first] = in_snapshots_.emplace(key.string(), file.string());
            if (!is_first) {
                walk_.left_out.push_back(
                    {file.string(), "an older snapshot of " + escaped(current->second)});
                return;
            }
        }
        walk_.files.push_back(file.string());
    }

    bool count_entry(const fs::path& directory) {
        if (++entries_ <= limits_.entries_max) {
            return true;
        }
        if (!full_) {
            full_ = true;
            walk_.left_out.push_back(
                {directory.string(), fmt::format("more than {} directory entries: from here on "
                                                 "nothing was looked at",
                                                 limits_.entries_max)});
        }
        return false;
    }

    const WalkLimits& limits_;
    Walk walk_;
    std::vector<Pending> pending_;
    std::set<FileIdentity> seen_;
    std::map<std::string, std::string> in_snapshots_;
    std::size_t entries_ = 0;
    bool full_ = false;
};

}  // namespace

std::string absolute_path(const std::string& path) {
    std::error_code error;
    fs::path absolute = fs::absolute(path, error).lexically_normal();
    if (!absolute.has_filename() && absolute.has_relative_path()) {
        absolute = absolute.parent_path();
    }
    return absolute.string();
}

Walk walk_directories(const std::vector<std::string>& roots, const WalkLimits& limits) {
    return Walker(limits).run(roots);
}

}  // namespace corral
