// The memory estimate layer by layer: exact where the formula is, saturating where a file lies.

#include "discovery/memory.hpp"

#include "discovery/gpu.hpp"
#include "discovery/model_command.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::found_model;

namespace {

constexpr std::uint64_t gibibyte = 1ULL << 30U;
constexpr std::uint64_t context = 32'768;
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

ModelFile plain() {
    ModelFile model = found_model("/m/a.gguf", 1, gibibyte).file;
    model.block_count = 24;
    model.heads = {8};
    model.kv_heads = {4};
    model.key_length = 64;
    model.value_length = 32;
    model.vocabulary = 1'000;
    return model;
}

/// The estimate less that of the same model without any cache: the caches and states alone.
std::uint64_t sequences(const ModelFile& model) {
    const std::uint64_t scores = 4 * usual_batch * context * (1 + 8);
    const std::uint64_t logits = 4 * usual_batch * (1'000 + 2 * model.embedding_length);
    const std::optional<std::uint64_t> whole = estimate_gpu_bytes(model, context);
    REQUIRE(whole.has_value());
    return *whole - model.tensor_bytes - scores - logits - (250ULL << 20U);
}

constexpr std::uint64_t one_layer = context * 4 * (64 + 32) * 2;

}  // namespace

TEST_CASE("Guards: a cache of every layer, with the heads that each layer has") {
    ModelFile model = plain();
    CHECK(sequences(model) == 24 * one_layer);
    model.kv_heads.assign(24, 4);
    model.kv_heads[3] = 0;
    model.kv_heads[5] = 8;
    CHECK(sequences(model) == 24 * one_layer);
    model.kv_heads[5] = 4;
    CHECK(sequences(model) == 23 * one_layer);
}

TEST_CASE("Guards: layers with a sliding window keep the window and a batch, the others all") {
    ModelFile model = plain();
    model.window.tokens = 1'024;
    CHECK(sequences(model) == 24 * one_layer);  // which layers is not known: all may need all
    model.window.period = 6;
    const std::uint64_t kept = 4 * 1'024 + 512;  // of four sequences, a multiple of 256
    const std::uint64_t windowed = kept * 4 * (64 + 32) * 2;
    CHECK(sequences(model) == 4 * one_layer + 20 * windowed);
    model.window.layers.assign(24, false);
    model.window.layers[7] = true;
    CHECK(sequences(model) == 23 * one_layer + windowed);
    model.window.tokens = context * 2;
    CHECK(sequences(model) == 24 * one_layer);
}

TEST_CASE("Guards: recurrent layers have a state of fixed size instead of a cache") {
    ModelFile model = plain();
    model.recurrence = {4, 256, 16, 2, 0};
    const std::uint64_t state = 4 * 4 * (3 * (256 + 2 * 2 * 16) + 16 * 256);
    model.kv_heads.assign(24, 0);
    CHECK(sequences(model) == 24 * state);
    model.kv_heads[0] = 4;
    CHECK(sequences(model) == one_layer + 23 * state);
    model.kv_heads = {4};
    model.recurrence.attention_period = 4;
    CHECK(sequences(model) == 6 * one_layer + 18 * state);
}

TEST_CASE("Guards: latent attention counts its compressed form") {
    ModelFile model = plain();
    model.kv_heads = {1};
    model.key_length = 576;
    model.value_length = 512;
    model.latent = {512, 192, 128};
    CHECK(sequences(model) == 24 * context * (576 + 512) * 2);
    model.key_length = 16;
    model.value_length = 16;
    CHECK(sequences(model) == 24 * context * 1'024 * 2);
}

TEST_CASE("Guards: no number of a file overflows the estimate or divides by zero") {
    ModelFile model = plain();
    model.block_count = 16'384;
    for (std::uint64_t* field :
         {&model.key_length, &model.value_length, &model.window.tokens, &model.recurrence.inner,
          &model.recurrence.state, &model.recurrence.groups, &model.recurrence.convolution,
          &model.latent.rank, &model.vocabulary, &model.embedding_length}) {
        const std::uint64_t before = *field;
        for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, most}) {
            *field = value;
            for (const std::uint64_t tokens : {std::uint64_t{0}, std::uint64_t{1}, most}) {
                const auto estimate = estimate_gpu_bytes(model, tokens, most);
                CHECK((!estimate || *estimate >= model.tensor_bytes));
            }
        }
        *field = before;
    }
    model.heads = {most};
    model.kv_heads = {most};
    CHECK(estimate_gpu_bytes(model, most) == most);
    model.heads.clear();
    model.kv_heads.clear();
    CHECK_FALSE(estimate_gpu_bytes(model, 1).has_value());
}

TEST_CASE("Guards: a projector needs room on the GPU, too") {
    FoundModel model = found_model("/m/a-7b.gguf", 7, 4 * gibibyte);
    const auto on_gpu = [](const FoundModel& which) {
        const auto argv = make_command(which, "e", {{"gpu", 6 * gibibyte}}).argv;
        return std::find(argv.begin(), argv.end(), "--n-gpu-layers") != argv.end();
    };
    CHECK(on_gpu(model));
    model.projector = FoundProjector{"/m/mmproj.gguf", true, false, gibibyte};
    CHECK_FALSE(on_gpu(model));
}

TEST_CASE("Guards: models that give vectors take a whole context in one batch, and know to pool") {
    const auto argv_of = [](const FoundModel& model) {
        std::string line;
        for (const std::string& word : make_command(model, "e", {}).argv) {
            line += word + " ";
        }
        return line;
    };
    const auto has = [](const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    };
    FoundModel model = found_model("/m/bge-small.gguf", 0.1, 1'000, ModelRole::embedding);
    model.file.architecture = "bert";
    CHECK(has(argv_of(model), "--batch-size 2048 --ubatch-size 2048 --embeddings --pooling cls "));
    model.file_name.stem = "some-embedder";
    CHECK(has(argv_of(model), "--pooling mean "));
    model.file.architecture = "qwen3";
    CHECK(has(argv_of(model), "--pooling last "));
    model.file.pooling = 1;
    CHECK_FALSE(has(argv_of(model), "--pooling"));
    model.file.context_length = 512;
    CHECK_FALSE(has(argv_of(model), "batch-size"));
    model.file.role = ModelRole::reranker;
    model.file.pooling.reset();
    CHECK(has(argv_of(model), "--reranking "));
    CHECK_FALSE(has(argv_of(model), "--pooling"));
    model.file.role = ModelRole::chat;
    model.file.context_length = 8192;
    CHECK_FALSE(has(argv_of(model), "batch-size"));
}
