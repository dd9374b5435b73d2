#pragma once
// A tiny projector (mmproj) that the real llama-server loads beside a tiny model: one layer of a
// vision transformer for pictures of 32 x 32 points, random weights. Header only; pure.

#include "tests/support/tiny_tensors.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace corral::testing {

/// `model_width`: how long the model's vectors are.
inline std::string tiny_projector(std::uint64_t seed, std::uint64_t model_width) {
    constexpr std::uint64_t width = 32;
    constexpr std::uint64_t inner = 64;
    constexpr std::uint32_t picture = 32;
    constexpr std::uint32_t patch = 8;
    constexpr std::uint64_t places = (picture / patch) * (picture / patch) + 1;
    GgufBuilder pairs;
    pairs.string("general.architecture", "clip")
        .string("general.type", "mmproj")
        .string("general.name", "Tiny Eyes")
        .u32("general.file_type", 0)
        .boolean("clip.has_vision_encoder", true)
        .boolean("clip.has_text_encoder", false)
        .boolean("clip.use_gelu", true)
        .string("clip.projector_type", "mlp")
        .u32("clip.vision.image_size", picture)
        .u32("clip.vision.patch_size", patch)
        .u32("clip.vision.embedding_length", width)
        .u32("clip.vision.feed_forward_length", inner)
        .u32("clip.vision.projection_dim", static_cast<std::uint32_t>(model_width))
        .u32("clip.vision.block_count", 1)
        .u32("clip.vision.attention.head_count", 2)
        .f32("clip.vision.attention.layer_norm_epsilon", 1e-5F)
        .numbers("clip.vision.image_mean", GgufType::f32, std::vector<float>{0.5F, 0.5F, 0.5F})
        .numbers("clip.vision.image_std", GgufType::f32, std::vector<float>{0.5F, 0.5F, 0.5F});
    TensorMaker make(seed);
    make.matrix("v.class_embd", {width});
    make.matrix("v.patch_embd.weight", {patch, patch, 3, width});
    make.matrix("v.position_embd.weight", {width, places});
    const auto layer = [&](const std::string& name, std::uint64_t in, std::uint64_t out) {
        make.matrix(name + ".weight", {in, out});
        make.constant(name + ".bias", out, 0.0F);
    };
    const auto norm = [&](const std::string& name) {
        make.constant(name + ".weight", width, 1.0F);
        make.constant(name + ".bias", width, 0.0F);
    };
    norm("v.pre_ln");
    norm("v.blk.0.ln1");
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
        layer(std::string("v.blk.0.") + part, width, width);
    }
    norm("v.blk.0.ln2");
    layer("v.blk.0.ffn_up", width, inner);
    layer("v.blk.0.ffn_down", inner, width);
    norm("v.post_ln");
    layer("mm.0", width, inner);
    layer("mm.2", inner, model_width);
    return gguf_bytes(pairs, make.take());
}

}  // namespace corral::testing
