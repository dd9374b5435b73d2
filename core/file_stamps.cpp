#include "core/file_stamps.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t entries_max = 10'000;  // of one directory; what is beyond is not looked at

std::int64_t nanoseconds(const timespec& time) {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileStamps::Stamp FileStamps::stamp_of(const fs::path& path) {
    Stamp out;
    out.path = path.string();
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) {
        out.device = status.st_dev;
        out.inode = status.st_ino;
        out.size = status.st_size;
        out.modified = nanoseconds(status.st_mtim);
        out.status_changed = nanoseconds(status.st_ctim);
    }
    return out;
}

FileStamps::Look FileStamps::look_at(const std::vector<fs::path>& inputs) {
    Look out;
    for (const fs::path& input : inputs) {
        out.push_back(stamp_of(input));
        std::error_code ec;
        std::vector<fs::path> entries;
        for (fs::directory_iterator at(input, ec); !ec && at != fs::directory_iterator();
             at.increment(ec)) {
            if (entries.size() == entries_max) {
                break;
            }
            entries.push_back(at->path());
        }
        std::sort(entries.begin(), entries.end());
        for (const fs::path& entry : entries) {
            out.push_back(stamp_of(entry));
        }
    }
    return out;
}

bool FileStamps::changed(const std::vector<fs::path>& inputs) {
    Look now = look_at(inputs);
    const bool settled = now == last_;
    last_ = std::move(now);
    if (!std::exchange(begun_, true)) {
        known_ = last_;
        return false;
    }
    if (!settled || last_ == known_) {
        return false;
    }
    known_ = last_;
    return true;
}

}  // namespace corral
