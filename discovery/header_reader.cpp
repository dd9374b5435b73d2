// Passing arrays of strings; see header_reader.hpp.

#include "discovery/header_reader.hpp"

#include <algorithm>

namespace corral {

void HeaderReader::skip_strings(std::uint64_t count, std::uint64_t max,
                                std::optional<GgufNext> next) {
    constexpr std::uint64_t length_bytes = sizeof(std::uint64_t);
    constexpr std::uint64_t jump_bytes_min = 16U << 10;
    std::uint64_t block_bytes = block_bytes_min;
    while (count > 0 && !failed()) {
        if (next && count * length_bytes >= jump_bytes_min && guesses_left_ > 0) {
            --guesses_left_;
            const auto end = guess_strings_end(source_, position_, count, *next);
            if (end) {
                position_ = *end;
                guessed_ = true;
                return;
            }
            next.reset();
        }
        const std::uint64_t begin = position_;
        const std::uint64_t size = std::min(block_bytes, left());
        const Result<std::string_view> block = source_.view(begin, static_cast<std::size_t>(size));
        if (!block) {
            error_ = block.error();
            return;
        }
        std::uint64_t at = 0;
        std::uint64_t passed = 0;
        while (passed < count && at + length_bytes <= size) {
            std::uint64_t length = 0;
            std::memcpy(&length, block->data() + at, sizeof(length));
            if (length > max || length > source_.size() - (begin + at + length_bytes)) {
                break;  // length() below says what is wrong with it
            }
            at += length_bytes + length;
            ++passed;
        }
        position_ = begin + at;
        count -= passed;
        charge(passed * length_bytes);
        if (passed == 0) {
            skip(length(max, "a string"), "a string");
            --count;
        }
        block_bytes = at > size ? block_bytes_min : std::min(block_bytes * 2, block_bytes_max);
    }
}

}  // namespace corral
