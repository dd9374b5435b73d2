// Fuzzes the GGUF header reader and all that is made of a header: never a crash, never a number
// beyond the limits that the rest of discovery computes with, never a projector that does not fit,
// never a word in a command that the file brought along.

#include "discovery/gguf.hpp"

#include "discovery/capabilities.hpp"
#include "discovery/memory.hpp"
#include "discovery/model_command.hpp"
#include "discovery/model_file.hpp"
#include "discovery/model_index.hpp"
#include "discovery/projector.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// What describe_model() promises to everyone behind it.
void check_bounds(const corral::ModelFile& model, std::size_t size) {
    require(model.block_count <= 16'384 && model.tensor_bytes <= size);
    require(model.heads.size() <= 1 || model.heads.size() == model.block_count);
    require(model.window.layers.empty() || model.window.layers.size() == model.block_count);
    require(model.name.size() <= 4'096);
}

/// The file as a model and as a projector, side by side.
void check_use(const corral::ModelFile& file) {
    std::vector<corral::FoundModel> models(1);
    corral::FoundModel& model = models.front();
    model.path = "/m/a-7b.gguf";
    model.file_name = corral::read_file_name("a-7b.gguf");
    model.file = file;
    corral::ProjectorFile projector{"/m/mmproj-a.gguf", file};
    (void)corral::attach_projectors(models, {projector});
    require(!model.projector ||
            (file.projected_length != 0 && file.projected_length == file.embedding_length));
    const corral::ModelCommand command =
        corral::make_command(model, "e", {{"gpu", std::uint64_t{1} << 34U}});
    for (const std::string& word : command.argv) {
        require(is_printable(word) && word.find(' ') == std::string::npos);
    }
    for (const std::string& comment : command.comments) {
        require(is_printable(comment));
    }
    require(corral::capabilities_of(model).context >= 0);
    for (const corral::MetadataEntry& entry : corral::metadata_of(model)) {
        const auto* text = std::get_if<std::string>(&entry.value);
        require(text == nullptr || is_printable(*text));
    }
    corral::ModelIndex index;
    index.put({1, 2, 3, 4}, {"/m/a-7b.gguf", file, {}});
    std::string warning;
    const corral::ModelIndex again = corral::ModelIndex::parse(index.text(), warning);
    require(warning.empty() && again.text() == index.text());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    corral::BufferSource source(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto header =
        corral::parse_gguf(source, corral::is_model_key, {}, corral::is_model_tensor);
    if (!header) {
        return 0;
    }
    require(header->tensor_count == 0 || header->data_offset <= size);
    const auto model = corral::describe_model(*header, size);
    if (model) {
        check_bounds(*model, size);
        (void)corral::estimate_gpu_bytes(*model, model->context_length);
        check_use(*model);
    }
    return 0;
}
