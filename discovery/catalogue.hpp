#pragma once
// Which models lie on the disks: every servable GGUF below some directories, multi-part ones
// joined, and everything else with the reason why it was left out. Touches the disk, reads headers
// only; any thread.

#include "discovery/model_file.hpp"
#include "discovery/naming.hpp"
#include "discovery/walk.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace corral {

struct FoundModel {
    std::string path;  ///< absolute; of the first part when there are several
    std::uint32_t part_count = 1;
    FileNameParts file_name;
    ModelFile file;  ///< sums over all parts; its role also looks at the file name

    /// Parameters in billions: by file name, else size label, else counted. The first is what
    /// people go by ("1B" has 1.24 billion).
    [[nodiscard]] double billions() const;
    /// "q4_k_m", by file name, else by metadata; may be empty.
    [[nodiscard]] std::string quantization() const;
};

struct Catalogue {
    std::vector<FoundModel> models;     ///< sorted by path
    std::vector<LeftOut> left_out;      ///< sorted by path
    std::vector<LeftOut> failed_roots;  ///< starting points that are not there or not readable
};

[[nodiscard]] Catalogue read_catalogue(const std::vector<std::string>& roots,
                                       const WalkLimits& limits = {});

/// Why a path cannot stand in a config, or an empty string when it can.
[[nodiscard]] std::string path_problem(std::string_view path);

}  // namespace corral
