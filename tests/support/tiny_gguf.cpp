// Writes a tiny model that the real llama-server loads and answers from, so that tests and ./run
// need no download:  tiny_gguf OUTPUT.gguf [--seed N] [--name NAME] [--parts N] [--embedding]
// With --base it has no chat template, with --embedding or --reranker it gives vectors or scores,
// with --projector it is the eyes of another one. --parts writes OUTPUT-00001-of-0000N.gguf and so
// on. Llama architecture, 2 layers, 64 wide, byte-fallback tokenizer, F32 weights; about 0.5 MB.
// The bytes are a pure function of the arguments. The model says words at random and never ends by
// itself: a request gets exactly the tokens that it asks for. A program for tests; not installed.

#include "tests/support/tiny_projector.hpp"
#include "tests/support/tiny_tensors.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using corral::testing::GgufBuilder;
using corral::testing::GgufType;
using corral::testing::Tensor;
using corral::testing::TensorMaker;

constexpr std::uint64_t width = 64;
constexpr std::uint64_t feed_forward = 160;
constexpr std::uint64_t layers = 2;
constexpr std::uint64_t heads = 4;
constexpr std::uint64_t kv_heads = 2;
constexpr std::uint64_t head_width = width / heads;
constexpr std::uint32_t context_length = 4096;
constexpr std::size_t first_word = 3 + 256;  // <unk> <s> </s>, then one token a byte

enum class Kind : std::uint8_t { chat, base, embedding, reranker, projector };

struct Options {
    std::string output;
    std::string name = "Tiny Corral";
    std::uint64_t seed = 1;
    std::uint64_t parts = 1;
    std::uint64_t width = 64;  ///< of a projector's vectors
    Kind kind = Kind::chat;
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

/// Embeddings share a large first component that no layer changes much, and the output rows of
/// bytes and control tokens are negative there: the model speaks words only and never ends.
std::vector<float> embedding_values(TensorMaker& make, std::uint64_t count) {
    std::vector<float> values = make.values(count * width, 1.0F);
    for (std::uint64_t row = 0; row < count; ++row) {
        values[row * width] = 4.0F;
    }
    return values;
}

std::vector<float> output_values(TensorMaker& make, std::uint64_t count) {
    std::vector<float> values = make.values(count * width, 0.5F);
    for (std::uint64_t row = 0; row < count; ++row) {
        values[row * width] = row < first_word ? -8.0F : 0.0F;
    }
    return values;
}

std::vector<Tensor> make_tensors(const Options& options, std::uint64_t tokens) {
    TensorMaker make(options.seed);
    make.add({"token_embd.weight", {width, tokens}, embedding_values(make, tokens)});
    for (std::uint64_t layer = 0; layer < layers; ++layer) {
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        make.constant(prefix + "attn_norm.weight", width, 1.0F);
        make.matrix(prefix + "attn_q.weight", {width, width});
        make.matrix(prefix + "attn_k.weight", {width, kv_heads * head_width});
        make.matrix(prefix + "attn_v.weight", {width, kv_heads * head_width});
        make.matrix(prefix + "attn_output.weight", {width, width});
        make.constant(prefix + "ffn_norm.weight", width, 1.0F);
        make.matrix(prefix + "ffn_gate.weight", {width, feed_forward});
        make.matrix(prefix + "ffn_up.weight", {width, feed_forward});
        make.matrix(prefix + "ffn_down.weight", {feed_forward, width});
    }
    make.constant("output_norm.weight", width, 1.0F);
    make.add({"output.weight", {width, tokens}, output_values(make, tokens)});
    return make.take();
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
    if (options.kind == Kind::embedding) {
        out.u32("llama.pooling_type", 1);  // mean
        out.boolean("llama.attention.causal", false);
    } else if (options.kind == Kind::reranker) {
        out.u32("llama.pooling_type", 4);  // rank
    }
    out.string("tokenizer.ggml.model", "llama");
    out.strings("tokenizer.ggml.tokens", tokens);
    out.numbers("tokenizer.ggml.scores", GgufType::f32, scores);
    out.numbers("tokenizer.ggml.token_type", GgufType::i32, types);
    out.u32("tokenizer.ggml.unknown_token_id", 0);
    out.u32("tokenizer.ggml.bos_token_id", 1);
    out.u32("tokenizer.ggml.eos_token_id", 2);
    out.boolean("tokenizer.ggml.add_bos_token", true);
    if (options.kind == Kind::chat) {
        out.string("tokenizer.chat_template",
                   "{% for message in messages %}{{ message['role'] + ': ' + "
                   "message['content'] + '\\n' }}{% endfor %}"
                   "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}");
    }
    return out;
}

/// Each part has its share of the tensors; the first has the description, too.
std::vector<std::string> make_parts(const Options& options) {
    const std::vector<std::string> tokens = vocabulary();
    const std::vector<Tensor> tensors = make_tensors(options, tokens.size());
    std::vector<std::string> parts;
    for (std::uint64_t part = 0; part < options.parts; ++part) {
        GgufBuilder metadata = part == 0 ? make_metadata(options, tokens) : GgufBuilder{};
        if (options.parts > 1) {
            metadata.key("split.no", GgufType::u16).raw(static_cast<std::uint16_t>(part));
            metadata.key("split.count", GgufType::u16)
                .raw(static_cast<std::uint16_t>(options.parts));
            metadata.key("split.tensors.count", GgufType::i32)
                .raw(static_cast<std::int32_t>(tensors.size()));
        }
        const auto bound = [&](std::uint64_t number) {
            return tensors.begin() + static_cast<long>(tensors.size() * number / options.parts);
        };
        parts.push_back(gguf_bytes(metadata, std::vector<Tensor>(bound(part), bound(part + 1))));
    }
    return parts;
}

std::vector<std::string> make_files(const Options& options) {
    if (options.kind == Kind::projector) {
        return {corral::testing::tiny_projector(options.seed, options.width)};
    }
    return make_parts(options);
}

/// "x.gguf" as it is, or "x-00002-of-00003.gguf".
std::string part_name(const Options& options, std::size_t part) {
    if (options.parts == 1) {
        return options.output;
    }
    const auto five = [](std::uint64_t number) {
        const std::string digits = std::to_string(number);
        return std::string(5 - std::min<std::size_t>(digits.size(), 5), '0') + digits;
    };
    const std::size_t stem = options.output.rfind(".gguf");
    return options.output.substr(0, stem) + "-" + five(part + 1) + "-of-" + five(options.parts) +
           ".gguf";
}

bool write_file(const std::string& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) {
        std::cerr << "tiny_gguf: cannot write " << path << '\n';
    }
    return !file.fail();
}

bool read_number(const std::string& text, std::uint64_t& number) {
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    return error == std::errc{} && end == last;
}

bool read_kind(const std::string& argument, Kind& kind) {
    constexpr std::array<std::pair<std::string_view, Kind>, 4> kinds{
        {{"--base", Kind::base},
         {"--embedding", Kind::embedding},
         {"--reranker", Kind::reranker},
         {"--projector", Kind::projector}}};
    const auto* const found = std::find_if(
        kinds.begin(), kinds.end(), [&](const auto& known) { return known.first == argument; });
    if (found != kinds.end()) {
        kind = found->second;
    }
    return found != kinds.end();
}

bool parse_options(const std::vector<std::string>& arguments, Options& options) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        const std::string value = i + 1 < arguments.size() ? arguments[i + 1] : std::string{};
        bool takes_value = true;
        bool sound = true;
        if (argument == "--name") {
            options.name = value;
        } else if (argument == "--seed") {
            sound = read_number(value, options.seed);
        } else if (argument == "--parts") {
            sound = read_number(value, options.parts) && options.parts >= 1 && options.parts <= 20;
        } else if (argument == "--width") {
            sound = read_number(value, options.width) && options.width % 8 == 0;
        } else {
            takes_value = false;
            sound = read_kind(argument, options.kind);
            if (!sound && options.output.empty() && !argument.starts_with("--")) {
                options.output = argument;
                sound = true;
            }
        }
        if (!sound) {
            return false;
        }
        i += takes_value ? 1U : 0U;
    }
    return !options.output.empty();
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (!parse_options(std::vector<std::string>(argv + 1, argv + argc), options)) {
        std::cerr << "usage: tiny_gguf OUTPUT.gguf [--seed N] [--name NAME] [--parts N]\n"
                     "    [--base | --embedding | --reranker | --projector [--width N]]\n";
        return 2;
    }
    const std::vector<std::string> files = make_files(options);
    for (std::size_t part = 0; part < files.size(); ++part) {
        if (!write_file(part_name(options, part), files[part])) {
            return 1;
        }
    }
    return 0;
}
