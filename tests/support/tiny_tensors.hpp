#pragma once
// Random tensors and how a GGUF file is put together from them: what tiny_gguf's kinds of models
// share. Header only; pure; any thread.

#include "tests/support/gguf_builder.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace corral::testing {

/// splitmix64: the same numbers on every machine, without the standard library's distributions.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    /// Uniform in [-scale, scale).
    float next(float scale) {
        state_ += 0x9E3779B97F4A7C15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        z ^= z >> 31;
        const auto bits = static_cast<std::int32_t>(z >> 40) - (1 << 23);
        return static_cast<float>(bits) / static_cast<float>(1 << 23) * scale;
    }

private:
    std::uint64_t state_;
};

/// F32; its bytes must be a multiple of 32.
struct Tensor {
    std::string name;
    std::vector<std::uint64_t> dimensions;
    std::vector<float> values;
};

/// Makes tensors by name and shape, in the order in which they will lie in the file.
class TensorMaker {
public:
    explicit TensorMaker(std::uint64_t seed) : random_(seed) {}

    void matrix(const std::string& name, const std::vector<std::uint64_t>& dimensions,
                float scale = 0.125F) {
        std::uint64_t count = 1;
        for (const std::uint64_t extent : dimensions) {
            count *= extent;
        }
        tensors_.push_back({name, dimensions, values(count, scale)});
    }
    void constant(const std::string& name, std::uint64_t width, float value) {
        tensors_.push_back({name, {width}, std::vector<float>(width, value)});
    }
    void add(Tensor tensor) { tensors_.push_back(std::move(tensor)); }
    std::vector<float> values(std::uint64_t count, float scale) {
        std::vector<float> result(count);
        for (float& value : result) {
            value = random_.next(scale);
        }
        return result;
    }
    [[nodiscard]] std::vector<Tensor> take() { return std::move(tensors_); }

private:
    Random random_;
    std::vector<Tensor> tensors_;
};

/// A whole file.
inline std::string gguf_bytes(const GgufBuilder& metadata, const std::vector<Tensor>& tensors) {
    GgufBuilder out;
    out.head(tensors.size(), metadata.pairs());
    out.bytes() += metadata.bytes();
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors) {
        out.tensor(tensor.name, tensor.dimensions, 0, offset);
        offset += tensor.values.size() * sizeof(float);
    }
    out.pad();
    for (const Tensor& tensor : tensors) {
        for (const float value : tensor.values) {
            out.raw(value);
        }
    }
    return out.bytes();
}

}  // namespace corral::testing
