// From metadata to a ModelFile; see model_file.hpp.

#include "discovery/model_file.hpp"

#include "discovery/chat_template.hpp"
#include "discovery/projector.hpp"
#include "discovery/saturate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace corral {

namespace {

// Far beyond every real model, far below where sums of products could overflow.
constexpr std::uint64_t layers_max = 16'384;
constexpr std::uint64_t width_max = 1U << 24;
constexpr std::uint64_t heads_max = 1U << 16;
constexpr std::uint64_t tokens_max = std::numeric_limits<std::uint32_t>::max();

constexpr std::string_view architecture_key = "general.architecture";

// Keys of the form <architecture>.<suffix>.
constexpr std::array<std::string_view, 27> suffixes{"context_length",
                                                    "embedding_length",
                                                    "block_count",
                                                    "attention.head_count",
                                                    "attention.head_count_kv",
                                                    "attention.key_length",
                                                    "attention.value_length",
                                                    "attention.key_length_mla",
                                                    "attention.value_length_mla",
                                                    "attention.kv_lora_rank",
                                                    "attention.sliding_window",
                                                    "attention.sliding_window_pattern",
                                                    "attention.causal",
                                                    "full_attention_interval",
                                                    "ssm.conv_kernel",
                                                    "ssm.inner_size",
                                                    "ssm.state_size",
                                                    "ssm.group_count",
                                                    "pooling_type",
                                                    "expert_count",
                                                    "expert_used_count",
                                                    "vocab_size",
                                                    "has_vision_encoder",
                                                    "has_audio_encoder",
                                                    "projector_type",
                                                    "vision.projection_dim",
                                                    "audio.projection_dim"};

constexpr std::array<std::string_view, 10> whole_keys{architecture_key,
                                                      "general.name",
                                                      "general.size_label",
                                                      "general.type",
                                                      "general.file_type",
                                                      "split.no",
                                                      "split.count",
                                                      "tokenizer.ggml.tokens",
                                                      "tokenizer.chat_template",
                                                      "tokenizer.chat_template.tool_use"};

/// Of layers with and without a window where only the engine's code says which are which
/// (llama-model.cpp, set_swa_pattern): the last of so many has none.
struct WindowPeriod {
    std::string_view architecture;
    std::uint64_t layers;
};
constexpr std::array<WindowPeriod, 9> window_periods{{{"gemma2", 2},
                                                      {"gemma3", 6},
                                                      {"gemma3n", 5},
                                                      {"gemma-embedding", 6},
                                                      {"gpt-oss", 2},
                                                      {"cohere2", 4},
                                                      {"olmo2", 4},
                                                      {"exaone4", 4},
                                                      {"smallthinker", 4}}};

// general.file_type (llama.h, enum llama_ftype); an empty name: given up.
constexpr std::array<std::string_view, 39> file_types{
    "F32",    "F16",    "Q4_0",  "Q4_1",    "",       "",       "",       "Q8_0",
    "Q5_0",   "Q5_1",   "Q2_K",  "Q3_K_S",  "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M",
    "Q5_K_S", "Q5_K_M", "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS",
    "IQ1_S",  "IQ4_NL", "IQ3_S", "IQ3_M",   "IQ2_S",  "IQ2_M",  "IQ4_XS", "IQ1_M",
    "BF16",   "",       "",      "",        "TQ1_0",  "TQ2_0",  "MXFP4"};

// Architectures whose models only ever give vectors (llama-arch.cpp).
constexpr std::array<std::string_view, 12> embedding_architectures{
    "bert",        "nomic-bert", "nomic-bert-moe", "jina-bert-v2",    "jina-bert-v3", "neo-bert",
    "modern-bert", "eurobert",   "t5encoder",      "gemma-embedding", "llama-embed",  "roberta"};

// Architectures of other programs' GGUF files, and of models that are no text models.
constexpr std::array<std::string_view, 21> foreign_architectures{"flux",
                                                                 "sd1",
                                                                 "sdxl",
                                                                 "sd3",
                                                                 "aura",
                                                                 "hidream",
                                                                 "cosmos",
                                                                 "ltxv",
                                                                 "hyvid",
                                                                 "wan",
                                                                 "lumina2",
                                                                 "qwen_image",
                                                                 "pig",
                                                                 "whisper",
                                                                 "wavtokenizer-dec",
                                                                 "imatrix",
                                                                 "stable-diffusion",
                                                                 "z_image",
                                                                 "mochi",
                                                                 "chroma",
                                                                 "control"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

constexpr std::uint64_t pooling_none = 0;
constexpr std::uint64_t pooling_rank = 4;

/// Reads typed values and remembers the first that is wrong.
class Values {
public:
    explicit Values(const GgufHeader& header) : header_(header) {}

    void set_prefix(const std::string& architecture) { prefix_ = architecture + "."; }
    [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

    void fail(std::string_view key, std::string_view reason) {
        if (!error_) {
            error_ = Error(Errc::corrupt, Blame::internal, fmt::format("{} {}", key, reason));
        }
    }

    std::string text(std::string_view key) {
        const GgufValue* value = header_.find(key);
        if (value == nullptr) {
            return {};
        }
        const auto* text = std::get_if<std::string>(value);
        if (text == nullptr) {
            fail(key, "is no string");
            return {};
        }
        return *text;
    }

    [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key, std::uint64_t max) {
        const GgufValue* value = header_.find(key);
        if (value == nullptr) {
            return std::nullopt;
        }
        std::optional<std::uint64_t> number;
        if (const auto* plain = std::get_if<std::uint64_t>(value)) {
            number = *plain;
        } else if (const auto* with_sign = std::get_if<std::int64_t>(value);
                   with_sign != nullptr && *with_sign >= 0) {
            number = static_cast<std::uint64_t>(*with_sign);
        }
        if (!number) {
            fail(key, "is no whole number");
        } else if (*number > max) {
            fail(key, fmt::format("is {}, more than any model has", *number));
            return std::nullopt;
        }
        return number;
    }

    /// A number of the architecture that only refines an estimate: 0 when missing or odd.
    [[nodiscard]] std::uint64_t own_hint(std::string_view suffix, std::uint64_t max) const {
        const GgufValue* value = header_.find(prefix_ + std::string(suffix));
        const auto* plain = value == nullptr ? nullptr : std::get_if<std::uint64_t>(value);
        return plain == nullptr || *plain > max ? 0 : *plain;
    }

    /// The same, telling 0 from nothing; negative numbers count as nothing.
    [[nodiscard]] std::optional<std::uint64_t> own_hint_or_none(std::string_view suffix,
                                                                std::uint64_t max) const {
        const GgufValue* value = header_.find(prefix_ + std::string(suffix));
        const auto* plain = value == nullptr ? nullptr : std::get_if<std::uint64_t>(value);
        return plain == nullptr || *plain > max ? std::nullopt : std::optional(*plain);
    }

    /// A number that belongs to the architecture.
    [[nodiscard]] std::optional<std::uint64_t> own_number(std::string_view suffix,
                                                          std::uint64_t max) {
        return number(prefix_ + std::string(suffix), max);
    }

    [[nodiscard]] std::string own_text(std::string_view suffix) {
        return text(prefix_ + std::string(suffix));
    }

    [[nodiscard]] const GgufArray* own_array(std::string_view suffix) const {
        const GgufValue* value = header_.find(prefix_ + std::string(suffix));
        return value == nullptr ? nullptr : std::get_if<GgufArray>(value);
    }

    [[nodiscard]] std::optional<bool> own_flag(std::string_view suffix) const {
        const GgufValue* value = header_.find(prefix_ + std::string(suffix));
        const bool* flag = value == nullptr ? nullptr : std::get_if<bool>(value);
        return flag == nullptr ? std::nullopt : std::optional<bool>(*flag);
    }

    /// One number for all layers, or an array with one for each.
    std::vector<std::uint64_t> per_layer(std::string_view suffix, std::uint64_t layers) {
        const std::string key = prefix_ + std::string(suffix);
        const GgufValue* value = header_.find(key);
        const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(value);
        if (array == nullptr) {
            const std::optional<std::uint64_t> one = number(key, heads_max);
            return one ? std::vector<std::uint64_t>{*one} : std::vector<std::uint64_t>{};
        }
        if (array->count != layers || array->numbers.size() != array->count) {
            fail(key, fmt::format("has {} entries for {} layers", array->count, layers));
            return {};
        }
        for (const std::uint64_t heads : array->numbers) {
            if (heads > heads_max) {
                fail(key, fmt::format("holds {}, more than any model has", heads));
                return {};
            }
        }
        return array->numbers;
    }

    /// How many entries the vocabulary has; 0 without one.
    [[nodiscard]] std::uint64_t array_length(std::string_view key) const {
        const GgufValue* value = header_.find(key);
        const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(value);
        return array == nullptr ? 0 : array->count;
    }

private:
    const GgufHeader& header_;
    std::string prefix_;
    std::optional<Error> error_;
};

void read_window(const Values& values, ModelFile& model) {
    SlidingWindow& window = model.window;
    window.tokens = values.own_hint("attention.sliding_window", tokens_max);
    constexpr std::string_view pattern = "attention.sliding_window_pattern";
    window.period = values.own_hint(pattern, layers_max);
    const GgufArray* layers = values.own_array(pattern);
    if (layers != nullptr && layers->numbers.size() == model.block_count) {
        for (const std::uint64_t has_window : layers->numbers) {
            window.layers.push_back(has_window != 0);
        }
    }
    for (const WindowPeriod& known : window_periods) {
        if (window.period == 0 && known.architecture == model.architecture) {
            window.period = known.layers;
        }
    }
}

void read_shape(Values& values, ModelFile& model) {
    model.context_length = values.own_number("context_length", tokens_max).value_or(0);
    model.embedding_length = values.own_number("embedding_length", width_max).value_or(0);
    model.block_count = values.own_number("block_count", layers_max).value_or(0);
    model.heads = values.per_layer("attention.head_count", model.block_count);
    model.kv_heads = values.per_layer("attention.head_count_kv", model.block_count);
    if (model.kv_heads.empty()) {
        model.kv_heads = model.heads;
    }
    const std::uint64_t most_heads =
        model.heads.empty() ? 0 : *std::max_element(model.heads.begin(), model.heads.end());
    const std::uint64_t head_length = most_heads == 0 ? 0 : model.embedding_length / most_heads;
    const std::uint64_t key_length = values.own_hint("attention.key_length", width_max);
    const std::uint64_t value_length = values.own_hint("attention.value_length", width_max);
    model.key_length = key_length != 0 ? key_length : head_length;
    model.value_length = value_length != 0 ? value_length : head_length;
    read_window(values, model);
    model.latent = {values.own_hint("attention.kv_lora_rank", width_max),
                    values.own_hint("attention.key_length_mla", width_max),
                    values.own_hint("attention.value_length_mla", width_max)};
    model.recurrence = {
        values.own_hint("ssm.conv_kernel", width_max), values.own_hint("ssm.inner_size", width_max),
        values.own_hint("ssm.state_size", width_max), values.own_hint("ssm.group_count", width_max),
        values.own_hint("full_attention_interval", layers_max)};
    model.experts = values.own_hint("expert_count", heads_max);
    model.experts_used = values.own_hint("expert_used_count", heads_max);
    if (const auto pooling = values.own_hint_or_none("pooling_type", pooling_rank)) {
        model.pooling = *pooling;
    }
    model.vocabulary = values.array_length("tokenizer.ggml.tokens");
    if (model.vocabulary == 0) {
        model.vocabulary = values.own_hint("vocab_size", tokens_max);
    }
}

/// Longer ones are in no list and on no screen.
std::string bounded(std::string text) {
    constexpr std::size_t text_bytes_max = 4'096;
    if (text.size() > text_bytes_max) {
        text.resize(text_bytes_max);
    }
    return text;
}

void read_chat_template(const GgufHeader& header, ModelFile& model) {
    const GgufValue* value = header.find("tokenizer.chat_template");
    const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
    if (text == nullptr) {
        return;
    }
    model.has_chat_template = true;
    const TemplateTraits traits = read_template(*text);
    model.supports_tools =
        traits.tools || header.find("tokenizer.chat_template.tool_use") != nullptr;
    model.supports_thinking = traits.thinking;
}

/// What a projector takes and gives.
void read_projector(Values& values, const GgufHeader& header, ModelFile& model) {
    values.set_prefix("clip");
    const bool has_vision = values.own_flag("has_vision_encoder").value_or(false);
    model.has_audio = values.own_flag("has_audio_encoder").value_or(false);
    model.has_vision = has_vision || !model.has_audio;  // the first ones did not say it
    model.projected_length = projected_length(header.tensors, values.own_text("projector_type"));
    for (const std::string_view key : {"vision.projection_dim", "audio.projection_dim"}) {
        if (model.projected_length == 0) {
            model.projected_length = values.own_hint(key, width_max);
        }
    }
}

ModelRole find_role(Values& values, const GgufHeader& header, const ModelFile& model) {
    const std::string type = values.text("general.type");
    if (model.architecture == "clip" || type == "mmproj") {
        return ModelRole::projector;
    }
    if (type == "adapter") {
        return ModelRole::adapter;
    }
    if (type == "imatrix" || contains(foreign_architectures, model.architecture)) {
        return ModelRole::other;
    }
    // A split model may keep all of its tensors in the later parts.
    if (type == "vocab" || (header.tensor_count == 0 && model.split_count < 2)) {
        return ModelRole::vocabulary;
    }
    const std::uint64_t pooling = model.pooling.value_or(pooling_none);
    if (pooling == pooling_rank) {
        return ModelRole::reranker;
    }
    const bool causal = values.own_flag("attention.causal").value_or(true);
    if (pooling != pooling_none || !causal ||
        contains(embedding_architectures, model.architecture)) {
        return ModelRole::embedding;
    }
    return model.has_chat_template ? ModelRole::chat : ModelRole::base;
}

/// Names go into paths of keys and into comments: letters, digits and a few signs only.
bool is_plain_word(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.' || c == '+';
    });
}

}  // namespace

std::string_view role_name(ModelRole role) noexcept {
    switch (role) {
        case ModelRole::chat:
            return "chat";
        case ModelRole::base:
            return "base";
        case ModelRole::embedding:
            return "embedding";
        case ModelRole::reranker:
            return "reranker";
        case ModelRole::projector:
            return "projector";
        case ModelRole::adapter:
            return "adapter";
        case ModelRole::vocabulary:
            return "vocabulary";
        case ModelRole::other:
            break;
    }
    return "other";
}

bool is_servable(ModelRole role) noexcept {
    return role == ModelRole::chat || role == ModelRole::base || role == ModelRole::embedding ||
           role == ModelRole::reranker;
}

void ModelFile::add_part(const ModelFile& part) {
    parameters = saturating_add(parameters, part.parameters);
    tensor_bytes = saturating_add(tensor_bytes, part.tensor_bytes);
    file_bytes = saturating_add(file_bytes, part.file_bytes);
}

bool is_model_tensor(std::string_view name) {
    return name.starts_with("mm.") || name == "resampler.proj.weight";
}

bool is_model_key(std::string_view key) {
    if (contains(whole_keys, key)) {
        return true;
    }
    return std::any_of(suffixes.begin(), suffixes.end(), [&](std::string_view suffix) {
        return key.size() > suffix.size() && key.ends_with(suffix) &&
               key[key.size() - suffix.size() - 1] == '.';
    });
}

Result<ModelFile> describe_model(const GgufHeader& header, std::uint64_t file_bytes) {
    Values values(header);
    ModelFile model;
    model.architecture = values.text(architecture_key);
    model.split_number = values.number("split.no", 99'999).value_or(0);
    model.split_count = values.number("split.count", 99'999).value_or(0);
    model.file_bytes = file_bytes;
    model.parameters = header.tensor_elements;
    model.tensor_bytes = header.tensor_bytes;
    // The later parts of a split model carry their tensors and no description.
    const bool later_part = model.split_number > 0;
    const bool statistics = values.text("general.type") == "imatrix";
    if (!values.error() && !later_part && !statistics && !is_plain_word(model.architecture)) {
        values.fail(architecture_key, "is missing or no plain word");
    }
    if (values.error()) {
        return *values.error();
    }
    values.set_prefix(model.architecture);
    model.name = bounded(values.text("general.name"));
    model.size_label = bounded(values.text("general.size_label"));
    const std::uint64_t file_type = values.number("general.file_type", tokens_max).value_or(1024);
    model.quantization = file_type < file_types.size() ? file_types.at(file_type) : "";
    if (model.quantization.empty()) {
        model.quantization = header.main_type;
    }
    if (!later_part) {
        read_chat_template(header, model);
        read_shape(values, model);
        model.role = find_role(values, header, model);
    }
    if (model.role == ModelRole::projector) {
        read_projector(values, header, model);
    }
    if (values.error()) {
        return *values.error();
    }
    return model;
}

}  // namespace corral
