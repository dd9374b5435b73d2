#pragma once
// Which projector (`--mmproj`: the eyes or ears of a model) belongs to which model: one whose
// vectors are as long as the model's, whatever the files are called. Pure; any thread.

#include "discovery/catalogue.hpp"
#include "discovery/gguf.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// How long the vectors are that a projector gives, from its `mm.*` tensors; 0 when they do not
/// tell. `projector_type` is clip.projector_type.
[[nodiscard]] std::uint64_t projected_length(const std::vector<GgufTensor>& tensors,
                                             std::string_view projector_type);

struct ProjectorFile {
    std::string path;  ///< absolute
    ModelFile file;
};

/// Gives every chat and base model the projector that fits it, or a note why one beside it does
/// not. Where several fit: the same directory goes before the same repository and that before other
/// places, there the longest common name; of those F16, which every backend runs, then BF16, Q8_0
/// and F32. In another place the whole name must be the model's; in its own the name only decides
/// between models that would all fit. Returns for each projector whether a model got it.
std::vector<bool> attach_projectors(std::vector<FoundModel>& models,
                                    const std::vector<ProjectorFile>& projectors);

}  // namespace corral
