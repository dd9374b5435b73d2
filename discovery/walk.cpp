// The walk over model directories; see walk.hpp.

#include "discovery/walk.hpp"

#include "discovery/gguf_file.hpp"
#include "discovery/naming.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <sys/stat.h>
#include <system_error>
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
                const auto [directory, depth] = std::move(pending_.back());
                pending_.pop_back();
                read_directory(directory, depth);
            }
            pending_.clear();
        }
        return std::move(walk_);
    }

private:
    struct Pending {
        fs::path directory;
        std::size_t depth = 0;
    };

    void start(const std::string& root) {
        std::error_code error;
        const fs::path path = absolute_path(root);
        const fs::file_status status = fs::status(path, error);
        if (fs::is_regular_file(status)) {
            walk_.files.push_back(path.string());
        } else if (fs::is_directory(status)) {
            pending_.push_back({path, 0});
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

    void read_directory(const fs::path& directory, std::size_t depth) {
        if (!is_new(directory)) {
            return;
        }
        std::error_code error;
        fs::directory_iterator entries(directory, error);
        if (error) {
            auto& list = depth == 0 ? walk_.failed_roots : walk_.left_out;
            list.push_back({directory.string(), error.message()});
            return;
        }
        std::vector<fs::path> files;
        std::vector<fs::path> directories;
        for (; entries != fs::directory_iterator(); entries.increment(error)) {
            if (error || !count_entry(directory)) {
                break;
            }
            std::error_code ignored;
            if (entries->is_directory(ignored)) {
                directories.push_back(entries->path());
            } else if (is_candidate(entries->path().filename().native())) {
                files.push_back(entries->path());
            }
        }
        if (error) {
            walk_.left_out.push_back({directory.string(), error.message()});
        }
        std::sort(files.begin(), files.end());
        for (const fs::path& file : files) {
            walk_.files.push_back(file.string());
        }
        if (depth + 1 > limits_.depth_max && !directories.empty()) {
            walk_.left_out.push_back(
                {directory.string(), fmt::format("more than {} directories deep: what lies below "
                                                 "was not looked at",
                                                 limits_.depth_max)});
            return;
        }
        std::sort(directories.begin(), directories.end(), std::greater<>());  // last in, first out
        for (fs::path& next : directories) {
            pending_.push_back({std::move(next), depth + 1});
        }
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
