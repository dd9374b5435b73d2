// From a found model to `capabilities` and `metadata`; see capabilities.hpp.

#include "discovery/capabilities.hpp"

#include "discovery/model_command.hpp"
#include "discovery/text.hpp"

#include <string_view>
#include <utility>

namespace corral {

namespace {

constexpr std::size_t metadata_text_max = 80;

class MetadataList {
public:
    void number(std::string_view key, std::uint64_t value) {
        if (value != 0) {
            entries_.push_back({std::string(key), value});
        }
    }
    void flag(std::string_view key, bool value) {
        if (value) {
            entries_.push_back({std::string(key), true});
        }
    }
    void text(std::string_view key, std::string_view value) {
        if (!value.empty()) {
            entries_.push_back({std::string(key), escaped(value, metadata_text_max)});
        }
    }
    std::vector<MetadataEntry> take() { return std::move(entries_); }

private:
    std::vector<MetadataEntry> entries_;
};

}  // namespace

Capabilities capabilities_of(const FoundModel& model) {
    Capabilities result;
    result.in = {"text"};
    result.context = static_cast<std::int64_t>(context_size(model));
    if (model.file.role == ModelRole::reranker) {
        result.reranker = true;  // scores are neither of the modalities that the config knows
        return result;
    }
    if (model.file.role == ModelRole::embedding) {
        return result;
    }
    result.out = {"text"};
    result.tools = model.file.supports_tools;
    if (model.projector && model.projector->has_audio) {
        result.in.emplace_back("audio");
    }
    if (model.projector && model.projector->has_vision) {
        result.in.emplace_back("image");
    }
    return result;
}

std::vector<MetadataEntry> metadata_of(const FoundModel& model) {
    const ModelFile& file = model.file;
    MetadataList list;
    list.text("role", role_name(file.role));
    list.text("family", file.architecture);
    list.text("title", file.name);
    list.text("quantization", model.quantization());
    list.number("n_params", file.parameters);
    list.number("size", file.file_bytes);
    list.number("parts", model.part_count > 1 ? model.part_count : 0);
    list.number("n_ctx_train", file.context_length);
    list.number("n_layer", file.block_count);
    list.number("n_embd", file.embedding_length);
    list.number("n_vocab", file.vocabulary);
    list.number("n_expert", file.experts);
    list.flag("thinking", file.supports_thinking);
    return list.take();
}

}  // namespace corral
