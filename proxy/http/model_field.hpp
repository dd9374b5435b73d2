#pragma once
// Finds the top-level "model" of a JSON body while its bytes pass, and accepts the body only if all
// of it is one clean JSON document (RFC 8259, UTF-8). The bytes are neither kept nor changed; what
// is remembered is bounded by the model's name. Pure; any thread; never allocates by input size.

#include "core/error.hpp"

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace corral::http {

/// What a body scanner knows after a piece.
enum class Verdict : std::uint8_t {
    need_more,  ///< no model yet, body not at its end
    found,      ///< the model is known, the body goes on
    complete,   ///< the document is complete (feed: only whitespace may still follow);
                ///< has_model() says whether it named one
    malformed,  ///< refuse: error() says where and why
};

class ModelField {
public:
    /// Scans the next piece. malformed is final.
    [[nodiscard]] Verdict feed(std::string_view bytes);
    /// The body has ended: complete or malformed.
    [[nodiscard]] Verdict finish();

    /// True when a top-level "model" was read wholly that is a number or a string that is not
    /// empty.
    [[nodiscard]] bool has_model() const noexcept { return has_model_; }
    /// Its value: a string unescaped, a number as written. Empty when there is none.
    [[nodiscard]] std::string_view model() const noexcept;
    /// Where the raw value stands in the body, quotes included: [first, second). For splicing.
    [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> span() const noexcept { return span_; }
    /// The top-level "stream" is true.
    [[nodiscard]] bool stream() const noexcept { return stream_; }

    /// Where scanning stopped: bytes from the start of the body.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    /// Why it is malformed; empty when it is not.
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }
    /// malformed_json with reason and offset in its detail. Requires: malformed.
    [[nodiscard]] Error error() const;

    static constexpr std::size_t depth_max = 128;         ///< nested objects and arrays
    static constexpr std::size_t model_bytes_max = 4096;  ///< unescaped; longer is malformed

private:
    enum class At : std::uint8_t {
        value,
        first_element,
        first_key,
        key,
        colon,
        after_value,
        end,
        string,
        escape,
        hex,
        second_backslash,
        second_u,
        utf8,
        minus,
        zero,
        integer,
        point,
        fraction,
        exponent,
        exponent_sign,
        exponent_digits,
        literal
    };
    enum class Wanted : std::uint8_t { nothing, model, stream };

    [[nodiscard]] bool step(unsigned char c);
    [[nodiscard]] bool structural(unsigned char c);
    [[nodiscard]] bool begin_value(unsigned char c);
    [[nodiscard]] bool open(bool object);
    [[nodiscard]] bool close();
    [[nodiscard]] bool begin_string(bool key);
    [[nodiscard]] bool string_byte(unsigned char c);
    [[nodiscard]] bool end_string();
    [[nodiscard]] bool end_key();
    [[nodiscard]] bool escape_byte(unsigned char c);
    [[nodiscard]] bool hex_byte(unsigned char c);
    [[nodiscard]] bool utf8_byte(unsigned char c);
    [[nodiscard]] bool begin_literal(std::string_view text) noexcept;
    [[nodiscard]] bool literal_byte(unsigned char c);
    [[nodiscard]] bool number_byte(unsigned char c);
    [[nodiscard]] bool number_is_complete() const noexcept;
    void end_number();
    void end_value() noexcept;
    [[nodiscard]] bool keep(std::string_view decoded);
    [[nodiscard]] bool keep_code_point();
    [[nodiscard]] bool fail(std::string_view reason) noexcept;
    [[nodiscard]] Verdict verdict() const noexcept;

    At at_ = At::value;
    Wanted wanted_ = Wanted::nothing;  ///< what the value that comes next is for
    bool in_key_ = false;              ///< the string that is read is a key
    bool keeping_ = false;             ///< its decoded bytes are wanted
    bool has_model_ = false, saw_model_ = false, stream_ = false;
    std::uint8_t hex_left_ = 0, literal_at_ = 0;
    std::uint8_t utf8_left_ = 0, utf8_low_ = 0, utf8_high_ = 0;
    std::uint32_t code_ = 0, high_surrogate_ = 0;
    std::string_view literal_;
    std::size_t depth_ = 0;
    std::bitset<depth_max + 1> is_object_;
    std::array<char, 8> key_{};
    std::size_t key_size_ = 0;
    std::uint64_t offset_ = 0;
    std::pair<std::uint64_t, std::uint64_t> span_{0, 0};
    std::string model_;
    std::string_view reason_;
};

}  // namespace corral::http
