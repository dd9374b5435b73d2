#pragma once
// How much memory a model takes when all of it is on a GPU: an estimate for deciding flags before
// anything was started, on the safe side. Pure; any thread.

#include "discovery/model_file.hpp"

#include <cstdint>
#include <optional>

namespace corral {

/// Bytes for weights, the KV cache of `context` tokens (16-bit, every layer), the compute buffer
/// without flash attention, and the driver's own context. Saturates. nullopt when the file does
/// not say what is needed, as with models that are recurrent all through.
[[nodiscard]] std::optional<std::uint64_t> estimate_gpu_bytes(const ModelFile& model,
                                                              std::uint64_t context);

}  // namespace corral
