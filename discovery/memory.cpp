// The closed formula of the estimate; see memory.hpp. Every number comes from a foreign file.

#include "discovery/memory.hpp"

#include "discovery/saturate.hpp"

#include <algorithm>

namespace corral {

namespace {

constexpr std::uint64_t mebibyte = 1U << 20;
constexpr std::uint64_t kv_number_bytes = 2;     // f16, the engine's default
constexpr std::uint64_t state_number_bytes = 4;  // f32, always
constexpr std::uint64_t slots = 4;               // sequences at a time, the engine's default
constexpr std::uint64_t compute_bytes_min = 300 * mebibyte;
constexpr std::uint64_t driver_bytes = 250 * mebibyte;  // CUDA context and libraries
constexpr std::uint64_t window_padding = 256;

/// `heads` or `kv_heads` of one layer: one number for all, or one a layer.
std::uint64_t heads_of_layer(const std::vector<std::uint64_t>& heads, std::uint64_t layer) {
    if (heads.size() == 1) {
        return heads.front();
    }
    return layer < heads.size() ? heads[static_cast<std::size_t>(layer)] : 0;
}

bool has_state(const ModelFile& model) {
    return model.recurrence.inner != 0 && model.recurrence.state != 0;
}

/// True for a layer that keeps a state instead of a cache.
bool is_recurrent(const ModelFile& model, std::uint64_t layer) {
    const std::uint64_t period = model.recurrence.attention_period;
    if (!has_state(model)) {
        return false;
    }
    return period != 0 ? layer % period != period - 1 : heads_of_layer(model.kv_heads, layer) == 0;
}

bool has_window(const ModelFile& model, std::uint64_t layer) {
    const SlidingWindow& window = model.window;
    if (window.tokens == 0) {
        return false;
    }
    if (!window.layers.empty()) {
        return layer < window.layers.size() && window.layers[static_cast<std::size_t>(layer)];
    }
    return window.period != 0 && layer % window.period != window.period - 1;
}

/// Numbers that the cache holds of one token in one layer.
std::uint64_t cached_numbers(const ModelFile& model, std::uint64_t layer) {
    const std::uint64_t both = saturating_add(model.key_length, model.value_length);
    const std::uint64_t usual = saturating_multiply(heads_of_layer(model.kv_heads, layer), both);
    // The engine keeps the compressed form; its files say so with one head of that length. Where
    // a file gives only the heads' own lengths the rank still tells the least that is kept.
    return std::max(usual, saturating_multiply(model.latent.rank, 2));
}

std::uint64_t state_bytes(const Recurrence& recurrence) {
    const std::uint64_t mixed = saturating_add(
        recurrence.inner,
        saturating_multiply(2, saturating_multiply(recurrence.groups, recurrence.state)));
    const std::uint64_t history =
        recurrence.convolution == 0 ? 0 : saturating_multiply(recurrence.convolution - 1, mixed);
    const std::uint64_t numbers =
        saturating_add(history, saturating_multiply(recurrence.state, recurrence.inner));
    return saturating_multiply(numbers, state_number_bytes * slots);
}

/// Caches and states of all layers.
std::uint64_t sequence_bytes(const ModelFile& model, std::uint64_t context, std::uint64_t batch) {
    const std::uint64_t window =
        saturating_add(saturating_multiply(model.window.tokens, slots), batch);
    const std::uint64_t padded = saturating_multiply(
        saturating_add(window, window_padding - 1) / window_padding, window_padding);
    std::uint64_t sum = 0;
    for (std::uint64_t layer = 0; layer < model.block_count; ++layer) {
        if (is_recurrent(model, layer)) {
            sum = saturating_add(sum, state_bytes(model.recurrence));
            continue;
        }
        const std::uint64_t tokens = has_window(model, layer) ? std::min(context, padded) : context;
        const std::uint64_t one =
            saturating_multiply(cached_numbers(model, layer), kv_number_bytes);
        sum = saturating_add(sum, saturating_multiply(one, tokens));
    }
    return sum;
}

}  // namespace

std::optional<std::uint64_t> estimate_gpu_bytes(const ModelFile& model, std::uint64_t context,
                                                std::uint64_t batch) {
    const std::uint64_t sequences = sequence_bytes(model, context, batch);
    if (model.tensor_bytes == 0 || (sequences == 0 && context != 0)) {
        return std::nullopt;
    }
    const std::uint64_t heads =
        model.heads.empty() ? 0 : *std::max_element(model.heads.begin(), model.heads.end());
    const std::uint64_t step = saturating_multiply(4, batch);
    const std::uint64_t logits = saturating_multiply(
        step, saturating_add(model.vocabulary, saturating_multiply(2, model.embedding_length)));
    const std::uint64_t scores =
        saturating_multiply(saturating_multiply(step, context), saturating_add(1, heads));
    const std::uint64_t compute = std::max(compute_bytes_min, saturating_add(logits, scores));
    const std::uint64_t fixed = saturating_add(saturating_add(sequences, compute), driver_bytes);
    return saturating_add(model.tensor_bytes, fixed);
}

}  // namespace corral
