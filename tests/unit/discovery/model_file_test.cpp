// What is made of a header's metadata: every field by name, and harmless where a file is odd. Pure.

#include "discovery/model_file.hpp"

#include "tests/support/gguf_builder.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::GgufBuilder;
using BuilderType = corral::testing::GgufType;

namespace {

/// A model of this architecture with these pairs and one tensor.
Result<ModelFile> describe(const std::string& architecture, const GgufBuilder& pairs,
                           const std::string& tensor = "token_embd.weight",
                           const std::vector<std::uint64_t>& extents = {8, 1}) {
    GgufBuilder out;
    out.head(1, pairs.pairs() + 1).string("general.architecture", architecture);
    out.bytes() += pairs.bytes();
    std::uint64_t count = 1;
    for (const std::uint64_t extent : extents) {
        count *= extent;
    }
    out.tensor(tensor, extents, 0, 0).pad().zeros(count * 4);
    BufferSource source(out.bytes());
    const Result<GgufHeader> header = parse_gguf(source, is_model_key, {}, is_model_tensor);
    if (!header) {
        return header.error();
    }
    return describe_model(*header, out.bytes().size());
}

}  // namespace

TEST_CASE("Guards: latent attention, recurrent layers and experts are read") {
    GgufBuilder pairs;
    pairs.u32("x.block_count", 48)
        .u32("x.attention.head_count", 16)
        .u32("x.attention.kv_lora_rank", 512)
        .u32("x.attention.key_length", 576)
        .u32("x.attention.value_length", 512)
        .u32("x.attention.key_length_mla", 192)
        .u32("x.attention.value_length_mla", 128)
        .u32("x.ssm.conv_kernel", 4)
        .u32("x.ssm.inner_size", 4096)
        .u32("x.ssm.state_size", 128)
        .u32("x.ssm.group_count", 16)
        .u32("x.full_attention_interval", 4)
        .u32("x.expert_count", 128)
        .u32("x.expert_used_count", 8)
        .u32("x.vocab_size", 1000);
    const Result<ModelFile> model = describe("x", pairs);
    REQUIRE(model.has_value());
    CHECK(model->latent.rank == 512);
    CHECK(model->latent.key_length == 192);
    CHECK(model->latent.value_length == 128);
    CHECK(model->key_length == 576);
    CHECK(model->value_length == 512);
    CHECK(model->recurrence.convolution == 4);
    CHECK(model->recurrence.inner == 4096);
    CHECK(model->recurrence.state == 128);
    CHECK(model->recurrence.groups == 16);
    CHECK(model->recurrence.attention_period == 4);
    CHECK(model->experts == 128);
    CHECK(model->experts_used == 8);
    CHECK(model->vocabulary == 1000);
    CHECK(model->window.tokens == 0);
}

TEST_CASE("Guards: which layers have a window comes from the file, else from the architecture") {
    GgufBuilder pairs;
    pairs.u32("gemma3.block_count", 4).u32("gemma3.attention.sliding_window", 1024);
    CHECK(describe("gemma3", pairs)->window.period == 6);
    pairs.u32("gemma3.attention.sliding_window_pattern", 3);
    CHECK(describe("gemma3", pairs)->window.period == 3);
    GgufBuilder listed;
    listed.u32("x.block_count", 4).u32("x.attention.sliding_window", 128);
    CHECK(describe("x", listed)->window.period == 0);
    listed.numbers("x.attention.sliding_window_pattern", BuilderType::boolean,
                   std::vector<std::uint8_t>{1, 1, 0, 1});
    CHECK(describe("x", listed)->window.layers == std::vector<bool>{true, true, false, true});
    GgufBuilder wrong;
    wrong.u32("x.block_count", 5)
        .numbers("x.attention.sliding_window_pattern", BuilderType::boolean,
                 std::vector<std::uint8_t>{1});
    CHECK(describe("x", wrong)->window.layers.empty());
}

TEST_CASE("Guards: a chat template tells what it supports, and a second one for tools counts") {
    GgufBuilder pairs;
    pairs.string("tokenizer.chat_template", "{% if enable_thinking %}<think>{% endif %}");
    Result<ModelFile> model = describe("x", pairs);
    CHECK(model->role == ModelRole::chat);
    CHECK_FALSE(model->supports_tools);
    CHECK(model->supports_thinking);
    pairs.string("tokenizer.chat_template.tool_use", "{{ tools }}");
    CHECK(describe("x", pairs)->supports_tools);
    GgufBuilder odd;
    odd.u32("tokenizer.chat_template", 1);
    CHECK(describe("x", odd)->role == ModelRole::base);
}

TEST_CASE("Guards: what stands at the end of a long template is still seen, of a huge one not") {
    GgufBuilder pairs;
    pairs.string("tokenizer.chat_template", std::string(30'000, ' ') + "{{ tools }}");
    CHECK(describe("x", pairs)->supports_tools);
    GgufBuilder huge;
    huge.string("tokenizer.chat_template", std::string(900'000, ' ') + "{{ tools }}");
    CHECK_FALSE(describe("x", huge)->supports_tools);
    CHECK(describe("x", huge)->role == ModelRole::chat);
}

TEST_CASE("Guards: without a file type the type of most weights tells the quantization") {
    GgufBuilder pairs;
    CHECK(describe("x", pairs)->quantization == "F32");
    pairs.u32("general.file_type", 9'999);
    CHECK(describe("x", pairs)->quantization == "F32");
    GgufBuilder known;
    known.u32("general.file_type", 7);
    CHECK(describe("x", known)->quantization == "Q8_0");
}

TEST_CASE("Guards: a projector says what it takes and how long its vectors are") {
    GgufBuilder pairs;
    pairs.string("general.type", "mmproj")
        .boolean("clip.has_audio_encoder", true)
        .u32("clip.audio.projection_dim", 77);
    Result<ModelFile> model = describe("clip", pairs, "mm.a.mlp.1.weight", {8, 2});
    REQUIRE(model.has_value());
    CHECK(model->role == ModelRole::projector);
    CHECK(model->has_audio);
    CHECK_FALSE(model->has_vision);
    CHECK(model->projected_length == 2);
    CHECK(describe("clip", pairs, "a.blk.0.weight", {8, 2})->projected_length == 77);
    const Result<ModelFile> old = describe("clip", {}, "mm.0.weight", {8, 2});
    CHECK(old->has_vision);
    CHECK(old->projected_length == 2);
    CHECK(describe("clip", {}, "v.x", {8, 2})->projected_length == 0);
}

TEST_CASE("Guards: whether a model says how to pool is told apart from what it says") {
    GgufBuilder none;
    CHECK_FALSE(describe("bert", none)->pooling.has_value());
    GgufBuilder zero;
    zero.u32("bert.pooling_type", 0);
    CHECK(describe("bert", zero)->pooling == 0);
    GgufBuilder rank;
    rank.u32("bert.pooling_type", 4);
    CHECK(describe("bert", rank)->role == ModelRole::reranker);
    GgufBuilder odd;
    odd.u32("bert.pooling_type", 9);
    CHECK(describe("bert", odd)->role == ModelRole::embedding);
}

TEST_CASE("safety 133: Guards: odd values in what only refines the estimate do no harm") {
    for (const char* key :
         {"x.attention.kv_lora_rank", "x.attention.key_length_mla", "x.attention.sliding_window",
          "x.ssm.conv_kernel", "x.ssm.inner_size", "x.ssm.state_size", "x.ssm.group_count",
          "x.full_attention_interval", "x.expert_count", "x.expert_used_count", "x.pooling_type",
          "x.attention.sliding_window_pattern", "x.vocab_size"}) {
        GgufBuilder negative;
        negative.key(key, BuilderType::i64).raw(std::int64_t{-1});
        GgufBuilder huge;
        huge.key(key, BuilderType::u64).raw(~std::uint64_t{0});
        GgufBuilder not_a_number;
        not_a_number.f32(key, std::numeric_limits<float>::quiet_NaN());
        GgufBuilder text;
        text.string(key, "1");
        GgufBuilder list;
        list.numbers(key, BuilderType::u32, std::vector<std::uint32_t>{1, 2});
        for (const GgufBuilder& pairs : {negative, huge, not_a_number, text, list}) {
            const Result<ModelFile> model = describe("x", pairs);
            REQUIRE(model.has_value());
            CHECK(model->latent.rank + model->latent.key_length + model->window.tokens +
                      model->window.period + model->recurrence.inner + model->experts ==
                  0);
        }
    }
}
