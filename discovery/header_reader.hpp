#pragma once
// Reads numbers and strings forward through a ByteSource, each checked against what is left.
// A helper of discovery/gguf.cpp; not for others. One thread.

#include "core/error.hpp"
#include "discovery/byte_source.hpp"
#include "discovery/string_array.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace corral {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie");

/// Reads forward through a source. The first failure sticks: later reads give zeros, so that a
/// caller checks once per step instead of once per number.
class HeaderReader {
public:
    HeaderReader(ByteSource& source, std::uint64_t bytes_max)
        : source_(source), budget_(bytes_max) {}

    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    [[nodiscard]] std::uint64_t left() const noexcept { return source_.size() - position_; }
    /// True when a long array was passed by a guess, so that an error may be the guess's fault.
    [[nodiscard]] bool has_guessed() const noexcept { return guessed_; }
    [[nodiscard]] bool failed() const noexcept { return error_.has_value(); }
    [[nodiscard]] const Error& error() const { return *error_; }

    void fail(std::uint64_t offset, std::string_view reason, Errc code = Errc::corrupt) {
        if (!error_) {
            error_ = Error(code, Blame::internal, fmt::format("at offset {}: {}", offset, reason));
        }
    }

    std::string_view bytes(std::uint64_t count, std::string_view what) {
        if (count <= left()) {
            charge(count);
        }
        return free_bytes(count, what);
    }

    /// The same for what is bounded otherwise: it does not count against the ceiling.
    std::string_view free_bytes(std::uint64_t count, std::string_view what) {
        if (failed()) {
            return {};
        }
        if (count > left()) {
            fail(position_,
                 fmt::format("{} needs {} bytes, but only {} are left", what, count, left()),
                 Errc::short_input);
            return {};
        }
        const Result<std::string_view> got =
            source_.view(position_, static_cast<std::size_t>(count));
        if (!got) {
            error_ = got.error();
            return {};
        }
        position_ += count;
        return *got;
    }

    template <class T>
    T number(std::string_view what) {
        T value{};
        const std::string_view got = bytes(sizeof(T), what);
        if (!failed()) {
            std::memcpy(&value, got.data(), sizeof(T));
        }
        return value;
    }

    void skip(std::uint64_t count, std::string_view what) {
        if (failed()) {
            return;
        }
        if (count > left()) {
            fail(position_,
                 fmt::format("{} needs {} bytes, but only {} are left", what, count, left()),
                 Errc::short_input);
            return;
        }
        position_ += count;
    }

    /// A string's length, checked against `max` and what is left.
    std::uint64_t length(std::uint64_t max, std::string_view what) {
        const std::uint64_t at = position_;
        const auto count = number<std::uint64_t>(what);
        if (!failed() && count > left()) {
            fail(at, fmt::format("{} of {} bytes, but only {} are left", what, count, left()),
                 Errc::short_input);
        } else if (!failed() && count > max) {
            fail(at, fmt::format("{} of {} bytes; the limit is {}", what, count, max));
        }
        return failed() ? 0 : count;
    }

    /// Passes `count` strings of at most `max` bytes. Looks at the lengths in a block of bytes at a
    /// time: a vocabulary has hundreds of thousands of short strings. With `next` it may jump over
    /// most of them (string_array.hpp); then has_guessed() is true.
    void skip_strings(std::uint64_t count, std::uint64_t max, std::optional<GgufNext> next);

private:
    static constexpr int guesses_max = 16;  // a model has two such arrays, or three
    static constexpr std::uint64_t block_bytes_min = 512;
    static constexpr std::uint64_t block_bytes_max = 64U << 10;

    void charge(std::uint64_t count) {
        if (count > budget_) {
            fail(position_, "the header is longer than any real one");
            return;
        }
        budget_ -= count;
    }

    ByteSource& source_;
    std::uint64_t budget_;
    std::uint64_t position_ = 0;
    bool guessed_ = false;
    int guesses_left_ = guesses_max;
    std::optional<Error> error_;
};

}  // namespace corral
