#pragma once
// The poor man's FileWatcher: compares what stat(2) says about files now and then. For where
// inotify cannot be had. Blocks for the disk, briefly. One thread at a time.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace corral {

class FileStamps {
public:
    /// Looks at the inputs (files, directories with their entries, or nothing yet; links followed).
    /// True when they differ from what the last true answer stood for and have stayed the same
    /// since the look before: then nobody is in the middle of writing. The first look is false.
    [[nodiscard]] bool changed(const std::vector<std::filesystem::path>& inputs);

private:
    struct Stamp {
        std::string path;
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        std::int64_t size = -1;  ///< -1: there is nothing
        std::int64_t modified = 0;
        std::int64_t status_changed = 0;
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };
    using Look = std::vector<Stamp>;

    static Stamp stamp_of(const std::filesystem::path& path);
    static Look look_at(const std::vector<std::filesystem::path>& inputs);

    bool begun_ = false;
    Look known_;  // what the last true answer stood for
    Look last_;
};

}  // namespace corral
