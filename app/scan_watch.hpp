#pragma once
// Stays and scans again whenever model files come and go, for `corral scan --watch`; the server
// runs that as a process of its own, so that its loop never waits for a disk. Main thread of a
// command.

#include "core/file_watcher.hpp"
#include "discovery/remembered.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace corral {

/// Tells whether files are still being written: by their sizes, from one look to the next.
class GrowingFiles {
public:
    /// Looks at the *.gguf files in these directories. True when all are as at the last look.
    [[nodiscard]] bool settled(const std::vector<std::filesystem::path>& directories);

private:
    std::map<std::string, FileFingerprint> last_;
};

/// The directories with everything below them, each once, links followed; some thousands at most.
[[nodiscard]] std::vector<std::filesystem::path> with_folders(
    const std::vector<std::string>& directories);

/// Scans once, then after each change that has come to rest. `scan` gives the directories to watch,
/// or none to end; with `only_news` it says nothing where nothing has changed. Ends, too, at SIGINT
/// or SIGTERM, or when nobody reads standard output any more.
void watch_and_scan(const std::function<std::vector<std::string>(bool only_news)>& scan);

}  // namespace corral
