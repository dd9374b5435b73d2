#pragma once
// What a GGUF header says about its model, typed and within sane bounds. Pure; any thread.
// Keys: ggml's docs/gguf.md and llama.cpp's llama-arch.cpp.

#include "core/error.hpp"
#include "discovery/gguf.hpp"

#include <cstdint>
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

/// One file, or all parts of a multi-part one after add_part(). 0 means unknown in every number.
struct ModelFile {
    std::string architecture;
    std::string name;                  ///< general.name, as it is: not safe to print
    std::string size_label;            ///< general.size_label: "7B", "8x7B"
    std::string quantization;          ///< from general.file_type: "Q4_K_M"; empty when unknown
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
    std::uint64_t sliding_window = 0;
    std::uint64_t vocabulary = 0;  ///< tokens
    std::uint64_t experts = 0;
    bool has_chat_template = false;
    bool supports_tools = false;     ///< its chat template renders tools
    bool supports_thinking = false;  ///< its chat template knows of reasoning
    bool has_vision = false;         ///< of a projector: takes images
    bool has_audio = false;          ///< of a projector: takes sound
    ModelRole role = ModelRole::base;
    std::uint64_t split_number = 0;  ///< split.no, from 0
    std::uint64_t split_count = 0;   ///< split.count; 0 or 1: one file

    /// Counts another part of the same model in.
    void add_part(const ModelFile& part);
};

/// Says which keys describe_model() needs.
[[nodiscard]] bool is_model_key(std::string_view key);

/// Errors: corrupt (a value that llama-server refuses or that no model has).
[[nodiscard]] Result<ModelFile> describe_model(const GgufHeader& header, std::uint64_t file_bytes);

}  // namespace corral
