#pragma once
// Which models lie on the disks: every servable GGUF below some directories, multi-part ones
// joined, and everything else with the reason why it was left out. Touches the disk, reads headers
// only; any thread.

#include "discovery/model_file.hpp"
#include "discovery/model_index.hpp"
#include "discovery/naming.hpp"
#include "discovery/walk.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corral {

/// The eyes or ears of a model, by a file of its own (`--mmproj`).
struct FoundProjector {
    std::string path;  ///< absolute
    bool has_vision = false;
    bool has_audio = false;
    std::uint64_t file_bytes = 0;
};

struct FoundModel {
    std::string path;  ///< absolute; of the first part when there are several
    std::uint32_t part_count = 1;
    FileNameParts file_name;
    ModelFile file;  ///< sums over all parts; its role also looks at the file name
    std::optional<FoundProjector> projector;  ///< the one that fits it
    std::string projector_note;               ///< about the choice of a projector; a sentence
    std::string repository;  ///< "org/repo", when it lies in a cache that tells; not safe to print

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
    std::size_t files_opened = 0;       ///< the others were in the index as they are
    /// Of every file that was read, with its FileKey, and of the caches' manifests.
    std::uint64_t files_fingerprint = 0;
    std::string index_warning;  ///< why the index was not used; mostly empty
};

/// `index` may be nullptr; what is read goes into it.
[[nodiscard]] Catalogue read_catalogue(const std::vector<std::string>& roots,
                                       const WalkLimits& limits = {}, ModelIndex* index = nullptr);

/// Why a path cannot stand in a config, or an empty string when it can.
[[nodiscard]] std::string path_problem(std::string_view path);

}  // namespace corral
