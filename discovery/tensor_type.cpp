// The table of tensor types; see tensor_type.hpp.

#include "discovery/tensor_type.hpp"

#include <array>

namespace corral {

namespace {

// Numbers with an empty row were given up by the engine (4, 5, 31 to 33, 36 to 38).
constexpr std::array<TensorType, 40> tensor_types{{
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},
    {},
    {},
    {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},
    {"Q8_0", 32, 34},
    {"Q8_1", 32, 36},
    {"Q2_K", 256, 84},
    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
    {"Q8_K", 256, 292},
    {"IQ2_XXS", 256, 66},
    {"IQ2_XS", 256, 74},
    {"IQ3_XXS", 256, 98},
    {"IQ1_S", 256, 50},
    {"IQ4_NL", 32, 18},
    {"IQ3_S", 256, 110},
    {"IQ2_S", 256, 82},
    {"IQ4_XS", 256, 136},
    {"I8", 1, 1},
    {"I16", 1, 2},
    {"I32", 1, 4},
    {"I64", 1, 8},
    {"F64", 1, 8},
    {"IQ1_M", 256, 56},
    {"BF16", 1, 2},
    {},
    {},
    {},
    {"TQ1_0", 256, 54},
    {"TQ2_0", 256, 66},
    {},
    {},
    {},
    {"MXFP4", 32, 17},
}};

/// Numbers from the table's end to here are left for types that we have not heard of.
constexpr std::uint32_t future_end = 64;

}  // namespace

TensorType tensor_type(std::uint32_t number) noexcept {
    if (number < tensor_types.size()) {
        return tensor_types[number];
    }
    return {{}, 0, 0, number < future_end};
}

}  // namespace corral
