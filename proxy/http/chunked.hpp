#pragma once
// Chunked transfer coding (RFC 9112 §7.1): decoding without copying and strictly, encoding of size
// lines. Chunk lines, extensions and trailers are validated, bounded and dropped. Pure; any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace corral::http {

class ChunkDecoder {
public:
    enum class State : std::uint8_t { need_more, payload, done, error };
    struct Step {
        State state = State::need_more;
        std::size_t consumed = 0;  ///< bytes of the input that were used, payload included
        std::string_view payload;  ///< part of the input; empty unless state is payload
        /// The payload with its framing when it is a whole chunk as we would write it, without
        /// extensions or padding: it can be passed on as it came. Else empty.
        std::string_view chunk;
    };

    /// Takes framing up to and including the next piece of payload, which it gives as a view into
    /// `bytes`. need_more: all of `bytes` was used. done: the bytes after `consumed` belong to
    /// the next message. error: see reason(); the decoder stays in error.
    [[nodiscard]] Step feed(std::string_view bytes);

    [[nodiscard]] bool done() const noexcept { return at_ == At::done; }
    /// Why it failed, for a person; empty when it did not.
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }
    /// Payload bytes given out so far.
    [[nodiscard]] std::uint64_t payload_bytes() const noexcept { return payload_bytes_; }

    static constexpr std::size_t line_bytes_max = 4 * 1024;       ///< a size line with extensions
    static constexpr std::size_t trailer_bytes_max = 8 * 1024;    ///< all trailer lines together
    static constexpr std::size_t overhead_bytes_max = 16 * 1024;  ///< framing beyond its due

private:
    enum class At : std::uint8_t {
        size_first,
        size,
        size_space,
        ext_start,
        ext_name,
        ext_after_name,
        ext_value_start,
        ext_token,
        ext_quoted,
        ext_escape,
        ext_after_quoted,
        ext_after_value,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_start,
        trailer_name,
        trailer_value,
        trailer_lf,
        last_lf,
        done,
        error
    };
    [[nodiscard]] bool framing_byte(unsigned char c);
    [[nodiscard]] bool size_byte(unsigned char c);
    [[nodiscard]] bool extension_byte(unsigned char c);
    [[nodiscard]] bool extension_end(unsigned char c) noexcept;
    [[nodiscard]] bool trailer_byte(unsigned char c);
    [[nodiscard]] bool end_size_line();
    [[nodiscard]] bool fail(std::string_view reason) noexcept;

    std::uint64_t left_ = 0;  ///< of the chunk; while its size is read: the size so far
    std::uint64_t payload_bytes_ = 0;
    std::size_t overhead_ = 0;
    std::size_t line_bytes_ = 0;
    std::size_t trailer_bytes_ = 0;
    unsigned digits_ = 0;
    bool plain_ = false;  ///< the chunk's size line is what chunk_prefix() makes
    At at_ = At::size_first;
    std::string_view reason_;
};

/// The line before a chunk of `size` bytes: lower-case hex and CRLF. After the chunk comes CRLF.
class ChunkPrefix {
public:
    explicit ChunkPrefix(std::uint64_t size) noexcept;
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

private:
    std::array<char, 18> text_{};
    std::size_t size_ = 0;
};

/// `chunk_prefix(26).view()` is "1a\r\n". Requires: size > 0, or it would end the body.
[[nodiscard]] inline ChunkPrefix chunk_prefix(std::uint64_t size) noexcept {
    return ChunkPrefix(size);
}
inline constexpr std::string_view chunk_suffix = "\r\n";     ///< after each chunk's bytes
inline constexpr std::string_view last_chunk = "0\r\n\r\n";  ///< ends the body, no trailers

}  // namespace corral::http
