// The GGUF header reader against sound, broken and hostile headers (docs/discovery.md). All of them
// are made here by code; pure, no files.

#include "discovery/gguf.hpp"

#include "discovery/model_file.hpp"
#include "tests/support/gguf_builder.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::GgufBuilder;
using BuilderType = corral::testing::GgufType;

namespace {

Result<ModelFile> read(const std::string& bytes) {
    BufferSource source(bytes);
    const Result<GgufHeader> header = parse_gguf(source, is_model_key);
    if (!header) {
        return header.error();
    }
    return describe_model(*header, bytes.size());
}

/// The reason why bytes are refused, or "accepted".
std::string reason(const std::string& bytes) {
    const Result<ModelFile> result = read(bytes);
    return result ? "accepted" : result.error().detail;
}

bool refused(const std::string& bytes, std::string_view because) {
    const std::string why = reason(bytes);
    INFO("reason: " << why);
    CHECK_MESSAGE(why.find(because) != std::string::npos, why);
    return why != "accepted";
}

struct Tensor {
    std::vector<std::uint64_t> dimensions{32, 2};
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
    std::string name = "token_embd.weight";
};

/// A sound model of one layer with these extra pairs; `tensor` may make it unsound.
std::string model(const GgufBuilder& extra = {}, const Tensor& tensor = {},
                  std::size_t data_bytes = 256) {
    GgufBuilder pairs;
    pairs.string("general.architecture", "llama")
        .string("general.name", "Test")
        .u32("llama.context_length", 4096)
        .u32("llama.embedding_length", 64)
        .u32("llama.block_count", 2)
        .u32("llama.attention.head_count", 4)
        .strings("tokenizer.ggml.tokens", {"a", "b", "c"});
    GgufBuilder out;
    out.head(1, pairs.pairs() + extra.pairs());
    out.bytes() += pairs.bytes() + extra.bytes();
    out.tensor(tensor.name, tensor.dimensions, tensor.type, tensor.offset);
    out.pad().zeros(data_bytes);
    return out.bytes();
}

/// A model whose only pairs are these, with no tensors.
std::string bare(const GgufBuilder& pairs) {
    GgufBuilder out;
    out.head(0, pairs.pairs());
    return out.bytes() + pairs.bytes();
}

/// Like model(), but one key of the shape has another value.
std::string with_shape(const GgufBuilder& shape) {
    GgufBuilder out;
    out.head(0, shape.pairs() + 1).string("general.architecture", "llama");
    return out.bytes() + shape.bytes();
}

}  // namespace

TEST_CASE("a sound header gives what is in it") {
    GgufBuilder extra;
    extra.u32("llama.attention.head_count_kv", 2)
        .u32("general.file_type", 15)
        .string("general.size_label", "1.2B")
        .string("tokenizer.chat_template", "{{ messages }}")
        .key("llama.attention.sliding_window", BuilderType::u32)
        .raw(std::uint32_t{512});
    const Result<ModelFile> result = read(model(extra));
    REQUIRE(result.has_value());
    CHECK(result->architecture == "llama");
    CHECK(result->name == "Test");
    CHECK(result->size_label == "1.2B");
    CHECK(result->quantization == "Q4_K_M");
    CHECK(result->parameters == 64);
    CHECK(result->tensor_bytes == 256);
    CHECK(result->context_length == 4096);
    CHECK(result->block_count == 2);
    CHECK(result->heads == std::vector<std::uint64_t>{4});
    CHECK(result->kv_heads == std::vector<std::uint64_t>{2});
    CHECK(result->key_length == 16);
    CHECK(result->window.tokens == 512);
    CHECK(result->vocabulary == 3);
    CHECK(result->role == ModelRole::chat);
}

TEST_CASE("heads may differ from layer to layer") {
    GgufBuilder extra;
    extra.numbers("llama.attention.head_count_kv", BuilderType::u32,
                  std::vector<std::uint32_t>{2, 0});
    const Result<ModelFile> result = read(model(extra));
    REQUIRE(result.has_value());
    CHECK(result->kv_heads == std::vector<std::uint64_t>{2, 0});
}

TEST_CASE("roles follow from metadata") {
    GgufBuilder pooled;
    pooled.u32("llama.pooling_type", 1).boolean("llama.attention.causal", false);
    CHECK(read(model(pooled))->role == ModelRole::embedding);
    GgufBuilder ranked;
    ranked.u32("llama.pooling_type", 4);
    CHECK(read(model(ranked))->role == ModelRole::reranker);
    CHECK(read(model())->role == ModelRole::base);
    GgufBuilder adapter;
    adapter.string("general.type", "adapter");
    CHECK(read(model(adapter))->role == ModelRole::adapter);
    GgufBuilder clip;
    clip.string("general.architecture", "clip");
    CHECK(read(bare(clip))->role == ModelRole::projector);
    GgufBuilder vocabulary;
    vocabulary.string("general.architecture", "llama");
    CHECK(read(bare(vocabulary))->role == ModelRole::vocabulary);
    GgufBuilder statistics;
    statistics.string("general.type", "imatrix");
    CHECK(read(bare(statistics))->role == ModelRole::other);
    GgufBuilder pictures;
    pictures.string("general.architecture", "flux");
    CHECK(read(bare(pictures))->role == ModelRole::other);
}

TEST_CASE("safety 125: short files, wrong magic numbers and versions are refused") {
    const std::string good = model();
    for (const std::size_t size : {0U, 1U, 3U, 4U, 23U}) {
        CHECK(refused(good.substr(0, size), "too few for a header"));
    }
    CHECK(refused("FUGG" + good.substr(4), "does not begin with \"GGUF\""));
    for (const std::uint32_t version : {0U, 1U, 4U}) {
        CHECK(refused(GgufBuilder().head(0, 0, version).bytes(), "only 2 and 3"));
    }
    CHECK(refused(GgufBuilder().head(0, 0, 0x03000000).bytes(), "big-endian"));
}

TEST_CASE("safety 126: counts beyond sense are refused before anything is reserved") {
    CHECK(refused(GgufBuilder().head(~0ULL, 0).bytes(), "tensors; the limit"));
    CHECK(refused(GgufBuilder().head(0, ~0ULL).bytes(), "metadata entries; the limit"));
    CHECK(refused(GgufBuilder().head(0, 1ULL << 32U).bytes(), "metadata entries; the limit"));
    CHECK(refused(GgufBuilder().head(1'000'000, 65'536).bytes(), "only 0 are left"));
}

TEST_CASE("safety 127: keys longer than the file, empty or strange") {
    const auto key_of_length = [](std::uint64_t length) {
        GgufBuilder out;
        out.head(0, 1).raw(length).zeros(40);
        return out.bytes();
    };
    for (const std::uint64_t length : {~0ULL, 1ULL << 63U, 73ULL, 1ULL << 30U}) {
        CHECK(refused(key_of_length(length), "a metadata key of"));
    }
    CHECK(refused(key_of_length(0), "an empty metadata key"));
    GgufBuilder odd;
    odd.string("general.architecture", "llama").u32(std::string_view("a\0b", 3), 1).u32("a\nb", 1);
    CHECK(read(bare(odd)).has_value());  // strange keys of others are no concern of ours
}

TEST_CASE("safety 128 and 129: value types that do not exist, strings beyond the end") {
    for (const std::uint32_t type : {13U, 255U, 1U << 31U}) {
        GgufBuilder pair;
        pair.key("x", static_cast<BuilderType>(type)).zeros(64);
        CHECK(refused(bare(pair), "does not exist"));
    }
    for (const std::uint64_t length : {~0ULL, 65ULL}) {
        GgufBuilder pair;
        pair.key("general.name", BuilderType::string).raw(length).zeros(64);
        CHECK(refused(bare(pair), "a string of"));
    }
}

TEST_CASE("safety 130: nested and oversized arrays are refused without recursion or walking") {
    GgufBuilder nested;
    nested.key("x", BuilderType::array);
    for (int depth = 0; depth < 10'000; ++depth) {
        nested.raw(static_cast<std::uint32_t>(BuilderType::array)).raw(std::uint64_t{1});
    }
    CHECK(refused(bare(nested), "an array of arrays"));
    GgufBuilder numbers;
    numbers.array("x", BuilderType::u64, 1ULL << 62U).zeros(64);
    CHECK(refused(bare(numbers), "elements, but only"));
    GgufBuilder strings;
    strings.array("x", BuilderType::string, 1ULL << 60U).zeros(64);
    CHECK(refused(bare(strings), "elements, but only"));
    GgufBuilder many;
    many.array("x", BuilderType::string, 4'000'001).zeros(8ULL * 4'000'001);
    CHECK(refused(bare(many), "strings; the limit"));
    GgufBuilder unknown;
    unknown.array("x", static_cast<BuilderType>(13), 1).zeros(64);
    CHECK(refused(bare(unknown), "does not exist"));
}

TEST_CASE("safety 131: the architecture stands there once, as a plain word") {
    GgufBuilder twice;
    twice.string("general.architecture", "llama").string("general.architecture", "llama");
    CHECK(refused(bare(twice), "stands there twice"));
    GgufBuilder number;
    number.u32("general.architecture", 1);
    CHECK(refused(bare(number), "is no string"));
    GgufBuilder array;
    array.strings("general.architecture", {"llama"});
    CHECK(refused(bare(array), "is no string"));
    GgufBuilder missing;
    missing.string("general.name", "x");
    CHECK(refused(bare(missing), "is missing"));
    GgufBuilder hostile;
    hostile.string("general.architecture", "lla\nma");
    CHECK(refused(bare(hostile), "no plain word"));
}

TEST_CASE("safety 132: any name is read, but a bounded piece of it") {
    GgufBuilder extra;
    extra.string("general.architecture", "llama")
        .string("general.name", std::string(1U << 20U, 'x'));
    const Result<ModelFile> result = read(bare(extra));
    REQUIRE(result.has_value());
    CHECK(result->name.size() == 4096);
    GgufBuilder longer;
    longer.string("general.name", std::string((1U << 20U) + 1, 'x'));
    CHECK(refused(bare(longer), "the limit is"));
}

TEST_CASE("safety 133: shapes that no model has are refused or harmless") {
    const auto u32 = [](std::string_view key, std::uint32_t value) {
        GgufBuilder pair;
        pair.u32(key, value);
        return with_shape(pair);
    };
    CHECK(read(u32("llama.context_length", 0))->context_length == 0);
    CHECK(read(u32("llama.context_length", ~0U))->context_length == ~0U);
    GgufBuilder negative;
    negative.key("llama.context_length", BuilderType::i32).raw(std::int32_t{-1});
    CHECK(refused(with_shape(negative), "no whole number"));
    GgufBuilder not_a_number;
    not_a_number.f32("llama.context_length", std::numeric_limits<float>::quiet_NaN());
    CHECK(refused(with_shape(not_a_number), "no whole number"));
    GgufBuilder text;
    text.string("llama.context_length", "4096");
    CHECK(refused(with_shape(text), "no whole number"));
    CHECK(refused(u32("llama.block_count", 1U << 31U), "more than any model has"));
    CHECK(read(u32("llama.attention.head_count", 0))->key_length == 0);
    GgufBuilder wrong_length;
    wrong_length.u32("llama.block_count", 2)
        .numbers("llama.attention.head_count", BuilderType::u32,
                 std::vector<std::uint32_t>{1, 2, 3});
    CHECK(refused(with_shape(wrong_length), "has 3 entries for 2 layers"));
    GgufBuilder wide;
    wide.key("llama.embedding_length", BuilderType::u64).raw(1ULL << 63U);
    CHECK(refused(with_shape(wide), "more than any model has"));
}

TEST_CASE("safety 134: alignments other than sensible powers of two are refused") {
    for (const std::uint32_t alignment : {0U, 1U, 13U, 1U << 31U}) {
        GgufBuilder extra;
        extra.u32("general.alignment", alignment);
        CHECK(refused(model(extra), "general.alignment"));
    }
    GgufBuilder with_sign;
    with_sign.key("general.alignment", BuilderType::i32).raw(std::int32_t{32});
    CHECK(refused(model(with_sign), "general.alignment"));
    GgufBuilder larger;
    larger.u32("general.alignment", 64);
    CHECK(read(model(larger, {}, 512)).has_value());
}

TEST_CASE("safety 135: tensors that cannot be") {
    const auto tensor = [](auto change) {
        Tensor changed;
        change(changed);
        return model({}, changed);
    };
    CHECK(refused(tensor([](Tensor& t) { t.name.assign(65, 'x'); }), "a tensor name of 65"));
    CHECK(refused(tensor([](Tensor& t) { t.dimensions = {}; }), "of 0 dimensions"));
    CHECK(refused(tensor([](Tensor& t) { t.dimensions = {1, 1, 1, 1, 1}; }), "of 5 dimensions"));
    constexpr std::uint64_t most = (1ULL << 63U) - 1;
    for (const std::vector<std::uint64_t>& dimensions :
         {std::vector<std::uint64_t>{0}, {~0ULL}, {most, 2}, {2, most}, {~0ULL, ~0ULL}}) {
        CHECK(refused(tensor([&](Tensor& t) { t.dimensions = dimensions; }), "can be counted"));
    }
    CHECK(refused(tensor([](Tensor& t) { t.dimensions = {(1ULL << 42U) + 1}; }), "does not fit"));
    CHECK(refused(tensor([](Tensor& t) { t.dimensions = {most}; }), "does not fit"));
    for (const std::uint32_t type : {999U, ~0U, 4U, 31U}) {
        CHECK(refused(tensor([&](Tensor& t) { t.type = type; }), "is not read by the engine"));
    }
    CHECK(refused(tensor([](Tensor& t) { t.type = 12; }), "in blocks of 256"));
    for (const std::uint64_t offset : {13ULL, 1ULL << 40U, ~0ULL, ~0ULL - 31}) {
        CHECK(refused(tensor([&](Tensor& t) { t.offset = offset; }), "past the file's end"));
    }
    CHECK(refused(model({}, {}, 255), "is it complete?"));
    CHECK(reason(tensor([](Tensor& t) { t.type = 40; })) == "accepted");  // a newer engine's
}

TEST_CASE("tensors that overlap are refused, so that sums can be trusted") {
    GgufBuilder out;
    out.head(2, 1).string("general.architecture", "llama");
    out.tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0).pad().zeros(32);
    CHECK(refused(out.bytes(), "overlap"));
}

TEST_CASE("safety 136: a model cut at any byte is refused, never read beyond its end") {
    const std::string good = model();
    REQUIRE(read(good).has_value());
    for (std::size_t size = 0; size < good.size(); ++size) {
        const std::string cut = good.substr(0, size);
        CHECK_FALSE(read(cut).has_value());
    }
}

TEST_CASE("safety 136: no damaged header crashes or passes the limits") {
    std::string good = model();
    std::mt19937_64 random(20'240'817);
    std::size_t accepted = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string damaged = good;
        const std::uint64_t changes = round < 10'000 ? 1 : 1 + random() % 16;
        for (std::uint64_t change = 0; change < changes; ++change) {
            char& byte = damaged[random() % damaged.size()];
            const unsigned flipped = static_cast<unsigned char>(byte) ^ (1U << (random() % 8));
            byte = static_cast<char>(round < 10'000 ? flipped : random());
        }
        const Result<ModelFile> result = read(damaged);
        accepted += result ? 1U : 0U;
        if (result) {
            CHECK(result->tensor_bytes <= damaged.size());
            CHECK(result->block_count <= 16'384);
        }
    }
    CHECK(accepted > 0);       // flips in weights and names do no harm
    CHECK(accepted < 20'000);  // and some do
}

TEST_CASE("safety 137: a million tensors are read within the limits") {
    GgufBuilder out;
    out.head(1'000'000, 1).string("general.architecture", "llama");
    for (std::uint64_t i = 0; i < 1'000'000; ++i) {
        out.tensor("t", {8}, 0, i * 32);
    }
    out.pad().zeros(32'000'000);
    const Result<ModelFile> result = read(out.bytes());
    REQUIRE(result.has_value());
    CHECK(result->parameters == 8'000'000);
}

TEST_CASE("skipped strings are not read, and a header has an end") {
    GgufBuilder extra;
    extra.array("x", BuilderType::string, 100);
    for (int i = 0; i < 100; ++i) {
        extra.text(std::string(1000, 'x'));
    }
    const std::string bytes = model(extra);
    BufferSource source(bytes);
    GgufLimits limits;
    limits.header_bytes_read_max = 4'000;  // the lengths, not the 100 kB of text
    CHECK(parse_gguf(source, is_model_key, limits).has_value());
    limits.header_bytes_read_max = 500;
    const Result<GgufHeader> result = parse_gguf(source, is_model_key, limits);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().detail.find("longer than any real one") != std::string::npos);
}
