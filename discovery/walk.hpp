#pragma once
// Walks directories for files that may be models. Touches the disk; any thread. Never opens a
// file, never follows a directory twice, and stops at a depth and a number of entries.

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace corral {

/// Something that was looked at and not taken, with the reason in words.
struct LeftOut {
    std::string path;
    std::string reason;
    friend bool operator==(const LeftOut&, const LeftOut&) = default;
};

struct WalkLimits {
    std::size_t entries_max = 100'000;
    std::size_t depth_max = 64;
};

/// What llama.cpp's cache has beside its files: "manifest=org=repo=tag.json".
using ManifestsByDirectory = std::map<std::string, std::vector<std::string>, std::less<>>;

struct Walk {
    std::vector<std::string> files;     ///< absolute; "*.gguf" and partial downloads of such
    std::vector<LeftOut> left_out;      ///< directories that could not be read, limits reached
    std::vector<LeftOut> failed_roots;  ///< starting points that are not there or not readable
    ManifestsByDirectory manifests;     ///< by directory, without a final slash
};

/// Every candidate below the roots, in a stable order: root by root, a directory's files before
/// its subdirectories, both by name. Symbolic links are followed. Of a repository in the Hugging
/// Face hub's cache only the snapshots are looked at, the one of refs/main first: what an older one
/// has by the same name is left out. Downloads that lie unfinished in its blobs are told.
[[nodiscard]] Walk walk_directories(const std::vector<std::string>& roots,
                                    const WalkLimits& limits = {});

/// A path from the root, without "." and "..", and without a final slash. Follows no links.
[[nodiscard]] std::string absolute_path(const std::string& path);

}  // namespace corral
