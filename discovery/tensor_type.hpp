#pragma once
// The element types of GGUF tensors: names and block sizes. Pure; any thread.

#include <cstdint>
#include <string_view>

namespace corral {

struct TensorType {
    std::string_view name;    ///< "F32", "Q4_K"; empty when not known
    std::uint32_t block = 0;  ///< elements a block; 0: not known or given up by the engine
    std::uint32_t bytes = 0;  ///< bytes a block
    bool future = false;      ///< not known, but a newer engine may read it
};

/// What is known of a type number (ggml.h, enum ggml_type; ggml.c, type_traits).
[[nodiscard]] TensorType tensor_type(std::uint32_t number) noexcept;

}  // namespace corral
