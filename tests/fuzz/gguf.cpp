// Fuzzes the GGUF header reader and what is made of a header: never a crash, never a number beyond
// the limits that the rest of discovery computes with.

#include "discovery/gguf.hpp"

#include "discovery/memory.hpp"
#include "discovery/model_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    corral::BufferSource source(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto header = corral::parse_gguf(source, corral::is_model_key);
    if (!header) {
        return 0;
    }
    if (header->tensor_count > 0 && header->data_offset > size) {
        std::abort();
    }
    const auto model = corral::describe_model(*header, size);
    if (model) {
        if (model->block_count > 16'384 || model->tensor_bytes > size) {
            std::abort();
        }
        (void)corral::estimate_gpu_bytes(*model, model->context_length);
    }
    return 0;
}
