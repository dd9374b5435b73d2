// Writes a tiny model that the real llama-server loads and answers from, so that tests and ./run
// need no download:  tiny_gguf OUTPUT.gguf [--seed N] [--name NAME] [--embedding]
// Llama architecture, 2 layers, 64 wide, byte-fallback tokenizer, F32 weights; about 0.5 MB. The
// bytes are a pure function of the arguments. The model says words at random and never ends by
// itself: a request gets exactly the tokens that it asks for. A program for tests; not installed.

#include "tests/support/gguf_builder.hpp"

#include <charconv>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using corral::testing::GgufBuilder;
using corral::testing::GgufType;

constexpr std::uint64_t width = 64;
constexpr std::uint64_t feed_forward = 160;
constexpr std::uint64_t layers = 2;
constexpr std::uint64_t heads = 4;
constexpr std::uint64_t kv_heads = 2;
constexpr std::uint64_t head_width = width / heads;
constexpr std::uint32_t context_length = 4096;
constexpr std::size_t first_word = 3 + 256;  // <unk> <s> </s>, then one token a byte

struct Options {
    std::string output;
    std::string name = "Tiny Corral";
    std::uint64_t seed = 1;
    bool embedding = false;
};

/// splitmix64: the same numbers on every machine, without the standard library's distributions.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    /// Uniform in [-scale, scale).
    float next(float scale) {
        state_ += 0x9E3779B97F4A7C15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        z ^= z >> 31;
        const auto bits = static_cast<std::int32_t>(z >> 40) - (1 << 23);
        return static_cast<float>(bits) / static_cast<float>(1 << 23) * scale;
    }

private:
    std::uint64_t state_;
};

struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dimensions;
    std::vector<float> values;
};

std::vector<std::string> vocabulary() {
    std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (unsigned byte = 0; byte < 256; ++byte) {
        tokens.push_back(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">");
    }
    for (const std::string_view word :
         {"the",   "a",     "horse",  "gate",   "field", "barn",    "hay",    "rope",   "rider",
          "dust",  "river", "fence",  "meadow", "night", "morning", "herd",   "saddle", "trail",
          "grass", "rain",  "waits",  "runs",   "opens", "closes",  "grazes", "sleeps", "follows",
          "finds", "leads", "turns",  "over",   "under", "behind",  "toward", "with",   "and",
          "or",    "but",   "slowly", "gladly", "again", "always",  "never",  "old",    "young",
          "quiet", "wild",  "brown",  "white",  "small"}) {
        tokens.push_back("\xE2\x96\x81" + std::string(word));  // U+2581 stands for a space
    }
    for (const std::string_view mark : {"\xE2\x96\x81", ".", ",", "!", "?"}) {
        tokens.emplace_back(mark);
    }
    return tokens;
}

std::vector<float> random_values(Random& random, std::uint64_t count, float scale) {
    std::vector<float> values(count);
    for (float& value : values) {
        value = random.next(scale);
    }
    return values;
}

/// Embeddings share a large first component that no layer changes much, and the output rows of
/// bytes and control tokens are negative there: the model speaks words only and never ends.
std::vector<float> embedding_values(Random& random, std::uint64_t count) {
    std::vector<float> values = random_values(random, count * width, 1.0F);
    for (std::uint64_t row = 0; row < count; ++row) {
        values[row * width] = 4.0F;
    }
    return values;
}

std::vector<float> output_values(Random& random, std::uint64_t count) {
    std::vector<float> values = random_values(random, count * width, 0.5F);
    for (std::uint64_t row = 0; row < count; ++row) {
        values[row * width] = row < first_word ? -8.0F : 0.0F;
    }
    return values;
}

std::vector<Tensor> make_tensors(const Options& options, std::uint64_t tokens) {
    Random random(options.seed);
    std::vector<Tensor> tensors;
    const auto matrix = [&](const std::string& name, std::uint64_t in, std::uint64_t out) {
        tensors.push_back({name, {in, out}, random_values(random, in * out, 0.125F)});
    };
    const auto ones = [&](const std::string& name) {
        tensors.push_back({name, {width}, std::vector<float>(width, 1.0F)});
    };
    tensors.push_back({"token_embd.weight", {width, tokens}, embedding_values(random, tokens)});
    for (std::uint64_t layer = 0; layer < layers; ++layer) {
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        ones(prefix + "attn_norm.weight");
        matrix(prefix + "attn_q.weight", width, width);
        matrix(prefix + "attn_k.weight", width, kv_heads * head_width);
        matrix(prefix + "attn_v.weight", width, kv_heads * head_width);
        matrix(prefix + "attn_output.weight", width, width);
        ones(prefix + "ffn_norm.weight");
        matrix(prefix + "ffn_gate.weight", width, feed_forward);
        matrix(prefix + "ffn_up.weight", width, feed_forward);
        matrix(prefix + "ffn_down.weight", feed_forward, width);
    }
    ones("output_norm.weight");
    tensors.push_back({"output.weight", {width, tokens}, output_values(random, tokens)});
    return tensors;
}

/// The metadata that llama.cpp needs.
GgufBuilder make_metadata(const Options& options, const std::vector<std::string>& tokens) {
    std::vector<float> scores(tokens.size(), 0.0F);
    std::vector<std::int32_t> types(tokens.size(), 6);  // byte
    types[0] = 2;                                       // unknown
    types[1] = types[2] = 3;                            // control
    for (std::size_t i = first_word; i < tokens.size(); ++i) {
        types[i] = 1;  // normal
        scores[i] = -static_cast<float>(i - first_word);
    }
    GgufBuilder out;
    out.string("general.architecture", "llama");
    out.string("general.type", "model");
    out.string("general.name", options.name);
    out.u32("general.file_type", 0);
    out.u32("llama.context_length", context_length);
    out.u32("llama.embedding_length", width);
    out.u32("llama.block_count", layers);
    out.u32("llama.feed_forward_length", feed_forward);
    out.u32("llama.attention.head_count", heads);
    out.u32("llama.attention.head_count_kv", kv_heads);
    out.f32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    out.u32("llama.rope.dimension_count", head_width);
    out.u32("llama.vocab_size", static_cast<std::uint32_t>(tokens.size()));
    if (options.embedding) {
        out.u32("llama.pooling_type", 1);  // mean
        out.boolean("llama.attention.causal", false);
    }
    out.string("tokenizer.ggml.model", "llama");
    out.strings("tokenizer.ggml.tokens", tokens);
    out.numbers("tokenizer.ggml.scores", GgufType::f32, scores);
    out.numbers("tokenizer.ggml.token_type", GgufType::i32, types);
    out.u32("tokenizer.ggml.unknown_token_id", 0);
    out.u32("tokenizer.ggml.bos_token_id", 1);
    out.u32("tokenizer.ggml.eos_token_id", 2);
    out.boolean("tokenizer.ggml.add_bos_token", true);
    if (!options.embedding) {
        out.string("tokenizer.chat_template",
                   "{% for message in messages %}{{ message['role'] + ': ' + "
                   "message['content'] + '\\n' }}{% endfor %}"
                   "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}");
    }
    return out;
}

std::string make_model(const Options& options) {
    const std::vector<std::string> tokens = vocabulary();
    const std::vector<Tensor> tensors = make_tensors(options, tokens.size());
    const GgufBuilder metadata = make_metadata(options, tokens);
    GgufBuilder out;
    out.head(tensors.size(), metadata.pairs());
    out.bytes() += metadata.bytes();
    std::uint64_t offset = 0;  // every tensor here is a multiple of the alignment of 32 bytes
    for (const Tensor& tensor : tensors) {
        out.tensor(tensor.name, tensor.dimensions, 0, offset);
        offset += tensor.values.size() * sizeof(float);
    }
    out.pad();
    for (const Tensor& tensor : tensors) {
        for (const float value : tensor.values) {
            out.raw(value);
        }
    }
    return out.bytes();
}

bool parse_options(const std::vector<std::string>& arguments, Options& options) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        const bool has_value = i + 1 < arguments.size();
        if (argument == "--embedding") {
            options.embedding = true;
        } else if (argument == "--name" && has_value) {
            options.name = arguments[++i];
        } else if (argument == "--seed" && has_value) {
            const std::string& text = arguments[++i];
            const auto [end, error] =
                std::from_chars(text.data(), text.data() + text.size(), options.seed);
            if (error != std::errc{} || end != text.data() + text.size()) {
                return false;
            }
        } else if (options.output.empty() && !argument.starts_with("--")) {
            options.output = argument;
        } else {
            return false;
        }
    }
    return !options.output.empty();
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (!parse_options(std::vector<std::string>(argv + 1, argv + argc), options)) {
        std::cerr << "usage: tiny_gguf OUTPUT.gguf [--seed N] [--name NAME] [--embedding]\n";
        return 2;
    }
    const std::string model = make_model(options);
    std::ofstream file(options.output, std::ios::binary | std::ios::trunc);
    file.write(model.data(), static_cast<std::streamsize>(model.size()));
    file.close();
    if (!file) {
        std::cerr << "tiny_gguf: cannot write " << options.output << '\n';
        return 1;
    }
    return 0;
}
