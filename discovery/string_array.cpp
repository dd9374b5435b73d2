// The search for an array's end; see string_array.hpp. How it can work: a length is eight bytes of
// which at least six are zero, and text has no such runs. So strings are told from anything else,
// and the place where one begins is found, in any block of some hundred bytes. From the begin
// strides lead to a block that is something else, then halving leads to the border.

#include "discovery/string_array.hpp"

#include "discovery/saturate.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace corral {

namespace {

constexpr std::uint64_t length_bytes = sizeof(std::uint64_t);
constexpr std::uint64_t probe_bytes_min = 512;
constexpr std::uint64_t probe_bytes_max = 8U << 10;
constexpr std::uint64_t sample_bytes = 4U << 10;
constexpr std::uint64_t stride_bytes_min = 16U << 10;
constexpr int probes_max = 128;
constexpr std::uint64_t follower_bytes = 512;  // enough to see what follows an array

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
}

bool is_name(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

/// The end of a key or a tensor's name at `at`; 0 when there is none. A text cut by the block's end
/// counts.
std::size_t name_end(std::string_view bytes, std::size_t at) {
    constexpr std::uint64_t name_bytes_max = 128;
    if (at + length_bytes > bytes.size()) {
        return bytes.size();
    }
    const auto length = number_at<std::uint64_t>(bytes, at);
    if (length == 0 || length > name_bytes_max) {
        return 0;
    }
    const std::string_view text = bytes.substr(at + length_bytes, length);
    return is_name(text) ? at + length_bytes + static_cast<std::size_t>(length) : 0;
}

/// Bytes of a value of a fixed-size type, 0 for strings, arrays and what is no type.
std::uint64_t value_bytes(std::uint32_t type) {
    constexpr std::string_view bytes("\1\1\2\2\4\4\4\1\0\0\10\10\10", 13);
    return type < bytes.size() ? static_cast<std::uint64_t>(bytes[type]) : 0;
}

/// `left`: bytes of the file from the block's begin on.
bool can_be_pair(std::string_view bytes, std::uint64_t left) {
    constexpr std::uint32_t string_type = 8;
    constexpr std::uint32_t array_type = 9;
    const std::size_t at = name_end(bytes, 0);
    if (at == 0 || at + 4 + 12 > bytes.size()) {
        return false;
    }
    const auto type = number_at<std::uint32_t>(bytes, at);
    if (type == array_type) {
        const auto element = number_at<std::uint32_t>(bytes, at + 4);
        const auto count = number_at<std::uint64_t>(bytes, at + 8);
        const std::uint64_t each = element == string_type ? length_bytes : value_bytes(element);
        return each != 0 && saturating_multiply(count, each) <= left;
    }
    if (type == string_type) {
        const auto length = number_at<std::uint64_t>(bytes, at + 4);
        return length <= left &&
               (length > bytes.size() ||
                name_end(bytes, at + 4 + length_bytes + static_cast<std::size_t>(length)) != 0);
    }
    const std::uint64_t each = value_bytes(type);
    return each != 0 && name_end(bytes, at + 4 + static_cast<std::size_t>(each)) != 0;
}

bool can_be_tensor(std::string_view bytes) {
    constexpr std::uint32_t types_max = 64;
    std::size_t at = name_end(bytes, 0);
    if (at == 0 || at + 4 > bytes.size()) {
        return false;
    }
    const auto dimensions = number_at<std::uint32_t>(bytes, at);
    at += 4 + std::size_t{8} * dimensions;
    return dimensions >= 1 && dimensions <= 4 && at + 12 <= bytes.size() &&
           number_at<std::uint32_t>(bytes, at) < types_max &&
           number_at<std::uint64_t>(bytes, at + 4) % 8 == 0;
}

/// True when strings follow each other from `at` to the block's end.
bool is_chain(std::string_view block, std::size_t at) {
    constexpr std::size_t links_min = 4;
    std::size_t links = 0;
    std::size_t empty = 0;
    while (at + length_bytes <= block.size()) {
        const auto length = number_at<std::uint64_t>(block, at);
        if (length > block.size()) {
            return false;
        }
        ++links;
        empty += length == 0 ? 1U : 0U;
        at += length_bytes + static_cast<std::size_t>(length);
    }
    return links >= links_min && empty * 2 <= links;  // zeros would be empty strings for ever
}

class EndFinder {
public:
    EndFinder(ByteSource& source, std::uint64_t begin, std::uint64_t count, GgufNext next)
        : source_(source), begin_(begin), count_(count), next_(next), low_(begin) {}

    std::optional<std::uint64_t> run() {
        measure();
        // A string longer than a block looks like something else: then it goes on behind it.
        constexpr int rounds_max = 4;
        for (int round = 0; round < rounds_max; ++round) {
            if (!stride_over() || !halve()) {
                return std::nullopt;
            }
            const std::optional<std::uint64_t> end = walk_to_end();
            if (end || given_up_) {
                return end;
            }
        }
        return std::nullopt;
    }

private:
    std::string_view block(std::uint64_t offset, std::uint64_t bytes) {
        if (offset >= source_.size() || ++probes_ > probes_max) {
            return {};
        }
        const std::uint64_t count = std::min(bytes, source_.size() - offset);
        const Result<std::string_view> got = source_.view(offset, static_cast<std::size_t>(count));
        return got ? *got : std::string_view{};
    }

    /// Sets the sizes of blocks and strides by what the first strings are like. A stride must not
    /// lead over the token types behind a vocabulary, four bytes each, into the next strings.
    void measure() {
        const std::string_view first = block(begin_, sample_bytes);
        std::uint64_t strings = 0;
        std::size_t at = 0;
        while (at + length_bytes <= first.size()) {
            const auto length = number_at<std::uint64_t>(first, at);
            ++strings;
            if (length > first.size()) {
                at = first.size();
                break;
            }
            at += length_bytes + static_cast<std::size_t>(length);
        }
        const std::uint64_t each = at / std::max<std::uint64_t>(strings, 1) + 1;
        probe_bytes_ = std::clamp(std::bit_ceil(each * 16), probe_bytes_min, probe_bytes_max);
        const std::uint64_t eighth = saturating_multiply(count_, each) / 8;
        stride_ = std::max({saturating_multiply(count_, 4), eighth, stride_bytes_min});
    }

    /// True when there are strings at `offset`; then low_ is where one of them begins.
    bool probe(std::uint64_t offset) {
        const std::string_view bytes = block(offset, probe_bytes_);
        for (std::size_t at = 0; at < bytes.size() / 2; ++at) {
            if (is_chain(bytes, at)) {
                low_ = offset + at;
                return true;
            }
        }
        return false;
    }

    bool stride_over() {
        // Every string has its length at least: so much is skipped at once.
        std::uint64_t offset = saturating_add(begin_, saturating_multiply(count_, length_bytes));
        offset = offset > low_ + probe_bytes_ ? offset - probe_bytes_ : low_ + stride_;
        while (offset < source_.size() && probe(offset)) {
            offset = low_ + stride_;
        }
        high_ = std::min(offset, source_.size());
        return probes_ < probes_max;
    }

    bool halve() {
        while (high_ > low_ + probe_bytes_) {
            const std::uint64_t middle = low_ + (high_ - low_) / 2;
            if (!probe(middle)) {
                high_ = middle;
            }
        }
        return probes_ < probes_max;
    }

    /// String by string from low_ to the first place where something else can begin.
    std::optional<std::uint64_t> walk_to_end() {
        const std::uint64_t begin = low_;
        const std::string_view bytes =
            block(begin, std::max(high_, begin) - begin + 2 * probe_bytes_ + follower_bytes);
        const bool whole = begin + bytes.size() == source_.size();
        std::size_t at = 0;
        while (at + length_bytes <= bytes.size()) {
            if (bytes.size() - at < follower_bytes && !whole) {
                return std::nullopt;  // strings still: the border is farther on
            }
            const std::uint64_t offset = begin + at;
            if (offset - begin_ >= saturating_multiply(count_, length_bytes) &&
                can_follow(bytes.substr(at), source_.size() - offset)) {
                return offset;
            }
            const auto length = number_at<std::uint64_t>(bytes, at);
            if (length > source_.size() - offset) {
                break;
            }
            if (length > bytes.size()) {
                low_ = offset + length_bytes + length;
                return std::nullopt;
            }
            at += length_bytes + static_cast<std::size_t>(length);
            low_ = begin + at;
        }
        given_up_ = true;
        return std::nullopt;
    }

    [[nodiscard]] bool can_follow(std::string_view bytes, std::uint64_t left) const {
        return next_ == GgufNext::pair ? can_be_pair(bytes, left) : can_be_tensor(bytes);
    }

    ByteSource& source_;
    std::uint64_t begin_;
    std::uint64_t count_;
    GgufNext next_;
    std::uint64_t low_;       ///< a string begins here
    std::uint64_t high_ = 0;  ///< the block here is no strings, or not all of it
    std::uint64_t probe_bytes_ = probe_bytes_min;
    std::uint64_t stride_ = stride_bytes_min;
    int probes_ = 0;
    bool given_up_ = false;
};

}  // namespace

std::optional<std::uint64_t> guess_strings_end(ByteSource& source, std::uint64_t begin,
                                               std::uint64_t count, GgufNext next) {
    return EndFinder(source, begin, count, next).run();
}

}  // namespace corral
