#pragma once
// How much memory a model takes when all of it is on a GPU: an estimate for deciding flags before
// anything was started, on the safe side. Pure; any thread.

#include "discovery/model_file.hpp"

#include <cstdint>
#include <optional>

namespace corral {

/// The engine's default for --ubatch-size.
inline constexpr std::uint64_t usual_batch = 512;

/// Bytes for weights, the 16-bit KV cache of `context` tokens layer by layer (layers with a sliding
/// window keep less, recurrent ones a state of fixed size, latent attention its compressed form),
/// the compute buffer without flash attention, and the driver's own context. Saturates. nullopt
/// when the file does not say what is needed.
[[nodiscard]] std::optional<std::uint64_t> estimate_gpu_bytes(const ModelFile& model,
                                                              std::uint64_t context,
                                                              std::uint64_t batch = usual_batch);

}  // namespace corral
