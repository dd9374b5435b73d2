#pragma once
// Writes GGUF bytes for tests and for tiny_gguf: sound ones, and on request unsound ones, because
// counts, types and lengths can be given by hand. Header only; pure; any thread.
// Format: ggml's docs/gguf.md, version 3, little-endian.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace corral::testing {

static_assert(std::endian::native == std::endian::little, "GGUF is written little-endian");

/// Value types of the format; a test may cast any other number to it.
enum class GgufType : std::uint32_t {
    u8 = 0,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64,
};

/// Collects bytes. The caller is responsible for counts that fit; nothing is checked.
class GgufBuilder {
public:
    template <class T>
    GgufBuilder& raw(T value) {
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        bytes_.append(bytes, sizeof(T));
        return *this;
    }
    GgufBuilder& text(std::string_view value) {
        raw(static_cast<std::uint64_t>(value.size()));
        bytes_.append(value);
        return *this;
    }
    GgufBuilder& head(std::uint64_t tensors, std::uint64_t pairs, std::uint32_t version = 3) {
        bytes_.append("GGUF");
        return raw(version).raw(tensors).raw(pairs);
    }
    GgufBuilder& key(std::string_view name, GgufType type) {
        ++pairs_;
        return text(name).raw(static_cast<std::uint32_t>(type));
    }
    GgufBuilder& string(std::string_view name, std::string_view value) {
        return key(name, GgufType::string).text(value);
    }
    GgufBuilder& u32(std::string_view name, std::uint32_t value) {
        return key(name, GgufType::u32).raw(value);
    }
    GgufBuilder& f32(std::string_view name, float value) {
        return key(name, GgufType::f32).raw(value);
    }
    GgufBuilder& boolean(std::string_view name, bool value) {
        return key(name, GgufType::boolean).raw(static_cast<std::uint8_t>(value ? 1 : 0));
    }
    GgufBuilder& array(std::string_view name, GgufType element, std::uint64_t count) {
        return key(name, GgufType::array).raw(static_cast<std::uint32_t>(element)).raw(count);
    }
    GgufBuilder& strings(std::string_view name, const std::vector<std::string>& values) {
        array(name, GgufType::string, values.size());
        for (const std::string& value : values) {
            text(value);
        }
        return *this;
    }
    template <class T>
    GgufBuilder& numbers(std::string_view name, GgufType element, const std::vector<T>& values) {
        array(name, element, values.size());
        for (const T value : values) {
            raw(value);
        }
        return *this;
    }
    GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                        std::uint32_t type, std::uint64_t offset) {
        text(name).raw(static_cast<std::uint32_t>(dimensions.size()));
        for (const std::uint64_t dimension : dimensions) {
            raw(dimension);
        }
        return raw(type).raw(offset);
    }
    /// Zero bytes up to the next multiple of alignment.
    GgufBuilder& pad(std::size_t alignment = 32) {
        bytes_.append((alignment - bytes_.size() % alignment) % alignment, '\0');
        return *this;
    }
    GgufBuilder& zeros(std::size_t count) {
        bytes_.append(count, '\0');
        return *this;
    }
    /// How many keys were written since construction.
    [[nodiscard]] std::uint64_t pairs() const noexcept { return pairs_; }
    [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::string& bytes() noexcept { return bytes_; }

private:
    std::string bytes_;
    std::uint64_t pairs_ = 0;
};

}  // namespace corral::testing
