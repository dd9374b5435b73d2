#pragma once
// What the tests of this room share: a folder of their own, and small sound models. One thread.

#include "discovery/catalogue.hpp"
#include "tests/support/gguf_builder.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <stdlib.h>
#include <string>
#include <string_view>
#include <system_error>

namespace corral::testing {

/// A new empty folder, removed with everything in it at the end.
class TempFolder {
public:
    TempFolder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "corral-discovery-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("no temporary folder");
        }
        path_ = pattern;
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    /// Writes a file, making its folders; gives its path.
    std::string write(const std::string& name, const std::string& bytes) const {
        const std::filesystem::path file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream out(file, std::ios::binary | std::ios::trunc);
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        if (!out.flush()) {
            throw std::runtime_error("cannot write " + file.string());
        }
        return file.string();
    }

private:
    std::filesystem::path path_;
};

struct ModelShape {
    std::string architecture = "llama";
    bool chat = true;
    std::uint32_t context = 8192;
    std::uint64_t rows = 1;         ///< 8 weights each
    std::uint32_t split_count = 0;  ///< 0: not split
    std::uint32_t split_number = 0;
    std::uint32_t pooling = 0;
    std::uint32_t layers = 2;
};

/// A complete file that describes such a model; its weights are zeros.
inline std::string model_bytes(const ModelShape& shape = {}) {
    GgufBuilder pairs;
    if (shape.split_number == 0) {
        const std::string prefix = shape.architecture + ".";
        pairs.string("general.architecture", shape.architecture)
            .u32(prefix + "context_length", shape.context)
            .u32(prefix + "embedding_length", 64)
            .u32(prefix + "block_count", shape.layers)
            .u32(prefix + "attention.head_count", 4);
        if (shape.pooling != 0) {
            pairs.u32(prefix + "pooling_type", shape.pooling);
        }
        if (shape.chat) {
            pairs.string("tokenizer.chat_template", "{{ messages }}");
        }
    }
    if (shape.split_count != 0) {
        pairs.key("split.no", GgufType::u16).raw(static_cast<std::uint16_t>(shape.split_number));
        pairs.key("split.count", GgufType::u16).raw(static_cast<std::uint16_t>(shape.split_count));
    }
    GgufBuilder out;
    out.head(1, pairs.pairs());
    out.bytes() += pairs.bytes();
    out.tensor("token_embd.weight", {8, shape.rows}, 0, 0);
    out.pad().zeros(shape.rows * 32);
    return out.bytes();
}

/// A complete projector whose vectors have this length.
inline std::string projector_bytes(std::uint64_t length, bool vision, bool audio) {
    GgufBuilder pairs;
    pairs.string("general.architecture", "clip")
        .string("general.type", "mmproj")
        .string("clip.projector_type", "mlp")
        .boolean("clip.has_vision_encoder", vision)
        .boolean("clip.has_audio_encoder", audio);
    GgufBuilder out;
    out.head(3, pairs.pairs());
    out.bytes() += pairs.bytes();
    out.tensor("v.patch_embd.weight", {8, 4}, 0, 0)
        .tensor("mm.0.weight", {8, 16}, 0, 128)
        .tensor("mm.2.weight", {8, length}, 0, 640);
    out.pad().zeros(640 + length * 32);
    return out.bytes();
}

/// A found model without a file, for tests of names and of what is written.
inline FoundModel found_model(const std::string& path, double billions = 1.0,
                              std::uint64_t bytes = 1ULL << 30U, ModelRole role = ModelRole::chat) {
    FoundModel model;
    model.path = path;
    model.file_name = read_file_name(path.substr(path.find_last_of('/') + 1));
    model.file.architecture = "llama";
    model.file.parameters = static_cast<std::uint64_t>(billions * 1e9);
    model.file.file_bytes = bytes;
    model.file.tensor_bytes = bytes;
    model.file.context_length = 8192;
    model.file.block_count = 16;
    model.file.embedding_length = 2048;
    model.file.heads = {32};
    model.file.kv_heads = {8};
    model.file.key_length = 64;
    model.file.value_length = 64;
    model.file.vocabulary = 32'000;
    model.file.role = role;
    return model;
}

inline bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace corral::testing
