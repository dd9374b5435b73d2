#pragma once
// Bytes by offset, for parsers of foreign files: a buffer in tests and fuzzers, a window over
// pread() for real files (discovery/gguf_file.hpp). One thread at a time.

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace corral {

class ByteSource {
public:
    virtual ~ByteSource() = default;
    /// How many bytes there are in all.
    [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
    /// The `count` bytes from `offset`; they stay valid until the next call. Requires that they lie
    /// within size(). Errors: io, short_input (the file shrank meanwhile).
    [[nodiscard]] virtual Result<std::string_view> view(std::uint64_t offset,
                                                        std::size_t count) = 0;
};

/// A buffer that outlives this object.
class BufferSource final : public ByteSource {
public:
    explicit BufferSource(std::string_view bytes) : bytes_(bytes) {}
    [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
    [[nodiscard]] Result<std::string_view> view(std::uint64_t offset, std::size_t count) override {
        return bytes_.substr(static_cast<std::size_t>(offset), count);
    }

private:
    std::string_view bytes_;
};

}  // namespace corral
