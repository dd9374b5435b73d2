// Jumping over long arrays of strings: the same header as by reading every string, for a few
// kilobytes; and a jump that went wrong is never believed. Pure.

#include "discovery/string_array.hpp"

#include "discovery/gguf.hpp"
#include "discovery/model_file.hpp"
#include "tests/support/gguf_builder.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::GgufBuilder;
using BuilderType = corral::testing::GgufType;

namespace {

/// Counts what is looked at.
class CountingSource final : public ByteSource {
public:
    explicit CountingSource(std::string_view bytes) : bytes_(bytes) {}
    [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
    [[nodiscard]] Result<std::string_view> view(std::uint64_t offset, std::size_t count) override {
        seen_ += count;
        return bytes_.substr(static_cast<std::size_t>(offset), count);
    }
    [[nodiscard]] std::uint64_t seen() const noexcept { return seen_; }

private:
    std::string_view bytes_;
    std::uint64_t seen_ = 0;
};

using Words = std::vector<std::string>;

/// Strings of `length(i)` random printable signs.
Words make_words(std::size_t count, const std::function<std::size_t(std::size_t)>& length) {
    std::mt19937_64 random(count);
    Words words(count);
    for (std::size_t i = 0; i < count; ++i) {
        words[i].resize(length(i));
        for (char& sign : words[i]) {
            sign = static_cast<char>('!' + random() % 94);
        }
    }
    return words;
}

struct Shape {
    Words tokens;
    Words merges;
    bool with_types = true;
    bool with_template = true;
    bool merges_last = false;
    char data = '\0';  ///< what the weights are made of
};

std::string file_of(const Shape& shape) {
    GgufBuilder pairs;
    pairs.string("general.architecture", "llama").u32("llama.block_count", 7);
    pairs.strings("tokenizer.ggml.tokens", shape.tokens);
    if (shape.with_types) {
        pairs.numbers("tokenizer.ggml.token_type", BuilderType::i32,
                      std::vector<std::int32_t>(shape.tokens.size(), 1));
    }
    if (!shape.merges.empty() && !shape.merges_last) {
        pairs.strings("tokenizer.ggml.merges", shape.merges);
    }
    pairs.u32("tokenizer.ggml.bos_token_id", 0).boolean("tokenizer.ggml.add_bos_token", false);
    if (shape.with_template) {
        pairs.string("tokenizer.chat_template", "{% if tools %}{{ tools }}{% endif %}");
    }
    if (!shape.merges.empty() && shape.merges_last) {
        pairs.strings("tokenizer.ggml.merges", shape.merges);
    }
    GgufBuilder out;
    out.head(20, pairs.pairs());
    out.bytes() += pairs.bytes();
    for (std::uint64_t i = 0; i < 20; ++i) {
        out.tensor("blk." + std::to_string(i) + ".attn_q.weight", {32, 32}, 0, i * 4096);
    }
    out.pad();
    out.bytes().append(std::size_t{20} * 4096, shape.data);
    return out.bytes();
}

/// Reads it by jumps; the bytes that were looked at.
std::uint64_t check_jumps(const Shape& shape) {
    const std::string bytes = file_of(shape);
    CountingSource source(bytes);
    const Result<GgufHeader> header = parse_gguf(source, is_model_key);
    REQUIRE_MESSAGE(header.has_value(), (header ? "" : header.error().detail));
    CHECK(header->tensor_count == 20);
    CHECK(header->tensor_elements == 20 * 1024);
    CHECK(header->data_offset == bytes.size() - std::size_t{20} * 4096);
    const Result<ModelFile> model = describe_model(*header, bytes.size());
    REQUIRE(model.has_value());
    CHECK(model->vocabulary == shape.tokens.size());
    CHECK(model->block_count == 7);
    CHECK(model->supports_tools == shape.with_template);
    return source.seen();
}

constexpr std::uint64_t budget = 64U << 10;

}  // namespace

TEST_CASE("Guards: a vocabulary of megabytes costs kilobytes, whatever its words are like") {
    const auto short_ones = [](std::size_t i) { return 1 + i % 9; };
    const auto growing = [](std::size_t i) { return 1 + i / 10'000; };
    const auto equal = [](std::size_t) { return std::size_t{6}; };
    for (const std::function<std::size_t(std::size_t)>& length :
         {std::function<std::size_t(std::size_t)>(short_ones),
          std::function<std::size_t(std::size_t)>(growing),
          std::function<std::size_t(std::size_t)>(equal)}) {
        Shape shape;
        shape.tokens = make_words(150'000, length);
        CHECK(check_jumps(shape) <= budget);
        shape.merges = make_words(140'000, [](std::size_t i) { return 3 + i % 12; });
        CHECK(check_jumps(shape) <= budget);
        shape.merges_last = true;
        CHECK(check_jumps(shape) <= budget);
        shape.with_template = false;
        shape.data = '\x7f';
        CHECK(check_jumps(shape) <= budget);
    }
}

TEST_CASE("Guards: ten megabytes of long words cost kilobytes, too") {
    Shape shape;
    shape.tokens = make_words(100'000, [](std::size_t i) { return 60 + i % 64; });
    CHECK(check_jumps(shape) <= 2 * budget);
}

TEST_CASE("Guards: where the border cannot be seen every string is read, and the header is right") {
    Shape shape;
    shape.tokens = make_words(50'000, [](std::size_t) { return std::size_t{5}; });
    // Nothing between two arrays of strings: a jump over both is wrong and must be noticed.
    shape.with_types = false;
    shape.merges = make_words(60'000, [](std::size_t i) { return 3 + i % 12; });
    CHECK(check_jumps(shape) > 0);
    // Words that are longer than any block, here and there and at the end.
    shape.merges.clear();
    shape.with_types = true;
    shape.tokens = make_words(30'000, [](std::size_t i) {
        return i % 5'000 == 4'999 ? std::size_t{20'000} : std::size_t{7};
    });
    CHECK(check_jumps(shape) > 0);
    // Empty ones, which look like zeros.
    shape.tokens = make_words(30'000, [](std::size_t i) { return i % 4 == 0 ? 3U : 0U; });
    CHECK(check_jumps(shape) > 0);
}

TEST_CASE("Guards: words that look like keys and headers are words") {
    Shape shape;
    shape.tokens = make_words(100'000, [](std::size_t) { return std::size_t{8}; });
    const std::string hostile =
        GgufBuilder().u32("tokenizer.ggml.bos_token_id", 1).u32("llama.block_count", 99).bytes();
    for (std::size_t i = 40'000; i < 100'000; i += 3) {
        shape.tokens[i] = hostile;
    }
    CHECK(check_jumps(shape) > 0);
    for (std::size_t i = 0; i < 100'000; ++i) {
        shape.tokens[i] = i % 2 == 0 ? "general.name" : "a.b";
    }
    CHECK(check_jumps(shape) > 0);
}

TEST_CASE("Guards: a header with a long vocabulary is refused wherever it is cut or damaged") {
    Shape shape;
    shape.tokens = make_words(5'000, [](std::size_t i) { return 1 + i % 9; });
    const std::string good = file_of(shape);
    BufferSource whole(good);
    REQUIRE(parse_gguf(whole, is_model_key).has_value());
    std::mt19937_64 random(7);
    for (int round = 0; round < 300; ++round) {
        const std::string cut = good.substr(0, random() % good.size());
        BufferSource source(cut);
        CHECK_FALSE(parse_gguf(source, is_model_key).has_value());
    }
    // A length in the middle that leads astray: by jumps it is not seen, and does no harm.
    for (int round = 0; round < 300; ++round) {
        std::string damaged = good;
        damaged[random() % damaged.size()] ^= static_cast<char>(1U << (random() % 8));
        BufferSource source(damaged);
        const Result<GgufHeader> header = parse_gguf(source, is_model_key);
        CHECK((!header || header->tensor_bytes <= damaged.size()));
    }
}

TEST_CASE("Guards: nothing is found where nothing is, within a bounded number of looks") {
    const std::string zeros(4U << 20, '\0');
    CountingSource source(zeros);
    CHECK_FALSE(guess_strings_end(source, 0, 100'000, GgufNext::pair).has_value());
    CHECK(source.seen() <= 2U << 20);
    const std::string nothing;
    BufferSource empty(nothing);
    CHECK_FALSE(guess_strings_end(empty, 0, 100'000, GgufNext::tensor).has_value());
}
