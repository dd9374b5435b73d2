#pragma once
// What scan remembers of a config that it wrote, beside what stands in it: which models it put
// there, so that one that somebody took out stays out, and which file each of them was, so that a
// moved file is known again. Kept as JSON in the state directory, one entry a config. Pure but for
// identify(). Any thread.

#include "core/error.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// Which file it is, wherever it lies. All 0: not known.
struct FileFingerprint {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t bytes = 0;

    friend bool operator==(const FileFingerprint&, const FileFingerprint&) = default;
};

/// Asks the disk; all 0 when the path is not there.
[[nodiscard]] FileFingerprint identify(const std::string& path);

struct RememberedModel {
    std::string id;
    std::vector<std::string> aliases;
    FileFingerprint identity;
    bool deleted = false;  ///< somebody took its block out: it is not written again

    friend bool operator==(const RememberedModel&, const RememberedModel&) = default;
};

struct Remembered {
    std::map<std::string, RememberedModel> models;  ///< by path of the file
    bool group_written = false;
    bool group_deleted = false;

    friend bool operator==(const Remembered&, const Remembered&) = default;
};

/// All configs, by their absolute paths; "" is the one that is only printed.
using RememberedConfigs = std::map<std::string, Remembered>;

/// Errors: corrupt.
[[nodiscard]] Result<RememberedConfigs> parse_remembered(std::string_view json);
[[nodiscard]] std::string remembered_text(const RememberedConfigs& configs);

}  // namespace corral
