#pragma once
// What a GGUF header says about its model, typed and within sane bounds. Pure; any thread.
// Keys: ggml's docs/gguf.md and llama.cpp's llama-arch.cpp.

#include "core/error.hpp"
#include "discovery/gguf.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// What a model is good for, which decides its flags and whether it is listed at all.
enum class ModelRole : std::uint8_t {
    chat,        ///< has a chat template
    base,        ///< completes text, but has no chat template
    embedding,   ///< gives vectors (`--embeddings`)
    reranker,    ///< gives scores (`--reranking`)
    projector,   ///< the eyes or ears of another model
    adapter,     ///< a LoRA
    vocabulary,  ///< a tokenizer without weights
    other,       ///< something that a text server cannot load (images, speech, statistics)
};

[[nodiscard]] std::string_view role_name(ModelRole role) noexcept;
/// True for what llama-server serves by itself: chat, base, embedding and reranker.
[[nodiscard]] bool is_servable(ModelRole role) noexcept;

/// Attention over a compressed cache (MLA); all 0 without it.
struct LatentAttention {
    std::uint64_t rank = 0;        ///< attention.kv_lora_rank: what is cached of a token and layer
    std::uint64_t key_length = 0;  ///< attention.key_length_mla
    std::uint64_t value_length = 0;  ///< attention.value_length_mla
};

/// Layers that look back a few tokens only.
struct SlidingWindow {
    std::uint64_t tokens = 0;  ///< 0: there are none
    /// Of `period` layers the last one sees everything; 0: not known, so all of them may.
    std::uint64_t period = 0;
    std::vector<bool> layers;  ///< where the file says it layer by layer; goes before `period`
};

/// Layers with a state of fixed size instead of a cache; all 0 without any.
struct Recurrence {
    std::uint64_t convolution = 0;       ///< ssm.conv_kernel
    std::uint64_t inner = 0;             ///< ssm.inner_size
    std::uint64_t state = 0;             ///< ssm.state_size
    std::uint64_t groups = 0;            ///< ssm.group_count
    std::uint64_t attention_period = 0;  ///< full_attention_interval: the last of so many attends
};

/// One file, or all parts of a multi-part one after add_part(). 0 means unknown in every number.
struct ModelFile {
    std::string architecture;
    std::string name;          ///< general.name, as it is: not safe to print
    std::string size_label;    ///< general.size_label: "7B", "8x7B"
    std::string quantization;  ///< from general.file_type: "Q4_K_M"; else its tensors' main type
    std::uint64_t parameters = 0;      ///< weights, counted from the tensors
    std::uint64_t tensor_bytes = 0;    ///< their size
    std::uint64_t file_bytes = 0;      ///< size on disk
    std::uint64_t context_length = 0;  ///< what it was trained for, in tokens
    std::uint64_t block_count = 0;     ///< layers
    std::uint64_t embedding_length = 0;
    std::vector<std::uint64_t> heads;     ///< one number, or one a layer; may be empty
    std::vector<std::uint64_t> kv_heads;  ///< the same; like `heads` when the file has none
    std::uint64_t key_length = 0;  ///< of one head; embedding_length / heads when the file has none
    std::uint64_t value_length = 0;  ///< the same
    LatentAttention latent;
    SlidingWindow window;
    Recurrence recurrence;
    std::uint64_t vocabulary = 0;  ///< tokens
    std::uint64_t experts = 0;
    std::uint64_t experts_used = 0;        ///< for one token
    std::optional<std::uint64_t> pooling;  ///< pooling_type, when the file says it
    bool has_chat_template = false;
    bool supports_tools = false;     ///< its chat template renders tools
    bool supports_thinking = false;  ///< its chat template knows of reasoning
    bool has_vision = false;         ///< of a projector: takes images
    bool has_audio = false;          ///< of a projector: takes sound
    /// Of a projector: how long the vectors are that it gives; must be the model's
    /// embedding_length.
    std::uint64_t projected_length = 0;
    ModelRole role = ModelRole::base;
    std::uint64_t split_number = 0;  ///< split.no, from 0
    std::uint64_t split_count = 0;   ///< split.count; 0 or 1: one file

    /// Counts another part of the same model in.
    void add_part(const ModelFile& part);
};

/// Says which keys, and which tensors' shapes, describe_model() needs.
[[nodiscard]] bool is_model_key(std::string_view key);
[[nodiscard]] bool is_model_tensor(std::string_view name);

/// Errors: corrupt (a value that llama-server refuses or that no model has).
[[nodiscard]] Result<ModelFile> describe_model(const GgufHeader& header, std::uint64_t file_bytes);

}  // namespace corral
