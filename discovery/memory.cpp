// The closed formula of the estimate; see memory.hpp.

#include "discovery/memory.hpp"

#include "discovery/saturate.hpp"

#include <algorithm>

namespace corral {

namespace {

constexpr std::uint64_t mebibyte = 1U << 20;
constexpr std::uint64_t kv_number_bytes = 2;  // f16, the engine's default
constexpr std::uint64_t batch = 512;          // --ubatch-size, the engine's default
constexpr std::uint64_t compute_bytes_min = 300 * mebibyte;
constexpr std::uint64_t driver_bytes = 250 * mebibyte;  // CUDA context and libraries

std::uint64_t sum_of_kv_heads(const ModelFile& model) {
    std::uint64_t sum = 0;
    for (const std::uint64_t heads : model.kv_heads) {
        sum = saturating_add(sum, heads);
    }
    return model.kv_heads.size() == 1 ? saturating_multiply(sum, model.block_count) : sum;
}

}  // namespace

std::optional<std::uint64_t> estimate_gpu_bytes(const ModelFile& model, std::uint64_t context) {
    const std::uint64_t kv_heads = sum_of_kv_heads(model);
    const std::uint64_t head_bytes =
        saturating_multiply(saturating_add(model.key_length, model.value_length), kv_number_bytes);
    if (kv_heads == 0 || head_bytes == 0 || model.tensor_bytes == 0) {
        return std::nullopt;
    }
    const std::uint64_t kv =
        saturating_multiply(saturating_multiply(kv_heads, head_bytes), context);
    const std::uint64_t heads =
        model.heads.empty() ? 0 : *std::max_element(model.heads.begin(), model.heads.end());
    const std::uint64_t logits = saturating_multiply(
        4 * batch, saturating_add(model.vocabulary, 2 * model.embedding_length));
    const std::uint64_t scores =
        saturating_multiply(saturating_multiply(4 * batch, context), 1 + heads);
    const std::uint64_t compute = std::max(compute_bytes_min, saturating_add(logits, scores));
    const std::uint64_t fixed = saturating_add(saturating_add(kv, compute), driver_bytes);
    return saturating_add(model.tensor_bytes, fixed);
}

}  // namespace corral
