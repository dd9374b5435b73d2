#include "core/load/metered_text.hpp"

#include <algorithm>

namespace corral::load {
namespace {

constexpr std::size_t piece_bytes = 2048;

}  // namespace

MeteredText::MeteredText(std::string_view text, std::size_t weight_max)
    : text_(text), weight_max_(weight_max) {}

std::size_t MeteredText::weight_of(char c, bool begins_line) noexcept {
    switch (c) {
        case '"':
        case '\'':
            return 1;
        case '[':
        case ']':
        case '{':
        case '}':
        case ',':
        case ':':
        case '?':
        case '#':
        case '&':
        case '*':
        case '!':
            return 3;
        case '-':
        case '.':
        case '%':
            return begins_line ? 3 : 0;  // document markers and directives
        default:
            return 0;
    }
}

MeteredText::int_type MeteredText::underflow() {
    if (next_ >= text_.size()) {
        return traits_type::eof();
    }
    const auto end = std::min(text_.size(), next_ + piece_bytes);
    for (std::size_t at = next_; at < end; ++at) {
        weight_ += weight_of(text_[at], at == 0 || text_[at - 1] == '\n');
    }
    if (weight_ > weight_max_) {
        throw HoldsTooMuch{next_};
    }
    // The buffer is only read: a streambuf has no other way to point at it.
    char* const begin = const_cast<char*>(text_.data());
    setg(begin + next_, begin + next_, begin + end);
    next_ = end;
    return traits_type::to_int_type(*gptr());
}

}  // namespace corral::load
