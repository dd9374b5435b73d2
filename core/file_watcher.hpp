#pragma once
// Tells when files may have changed, by inotify(7) on the directories that hold them: an editor's
// rename, a symbolic link that points elsewhere (Kubernetes' ..data), a file that is deleted and
// written again. Owns a descriptor and nothing else: app/ binds that to the loop, and debounces. A
// file is looked at again when its writer has closed it, not while it is half written. Blocks for
// the disk, briefly. One thread at a time.

#include "core/error.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace corral {

class FileWatcher {
public:
    /// Error: io, when the system gives no inotify instance (fs.inotify.max_user_instances).
    [[nodiscard]] static Result<FileWatcher> open();
    FileWatcher(FileWatcher&& other) noexcept;
    FileWatcher& operator=(FileWatcher&& other) noexcept;
    ~FileWatcher();

    /// From now on these, in place of what was watched before. A path may be a file, a directory
    /// (its entries count), or nothing yet; symbolic links on the way are watched as well. To be
    /// called again after each change: links may lead elsewhere. Error: io, when something cannot
    /// be watched (a limit, no permission to read a directory, a file system of another machine).
    [[nodiscard]] Result<void> watch(const std::vector<std::filesystem::path>& inputs);

    /// Readable when on_readable() has something to look at. Never -1.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    /// Takes all events that are there. True when one of them may have changed an input, also when
    /// events were lost.
    [[nodiscard]] bool on_readable();

private:
    /// What counts in one directory. Neither: only whether the directory itself moves or ends.
    struct Names {
        bool all = false;
        std::set<std::string, std::less<>> some;
        bool file = false;  ///< it is a file: one mounted alone shows its changes nowhere else
        friend bool operator==(const Names&, const Names&) = default;
    };
    using Plan = std::map<std::string, Names>;  // by path, without links in it
    struct Watched {
        std::string path;
        Names names;
    };

    explicit FileWatcher(int descriptor) : descriptor_(descriptor) {}
    static std::uint32_t events_of(const Names& names) noexcept;
    static void follow(const std::filesystem::path& input, Plan& plan);
    Result<void> carry_out(const Plan& plan);
    bool concerns_us(int watch, std::uint32_t mask, std::string_view name);

    int descriptor_ = -1;
    std::unordered_map<int, Watched> watched_;  // by watch descriptor
};

}  // namespace corral
