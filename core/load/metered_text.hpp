#pragma once
// The text as the YAML parser reads it: piece by piece, and with a bound on what it may hold of it.
// yaml-cpp 0.7 keeps every token of an outermost `[…]` or `{…}` until it has seen the end, 240
// bytes of memory for a byte of text. Whoever gets its events says so here. One thread.

#include <cstddef>
#include <streambuf>
#include <string_view>

namespace corral::load {

class MeteredText final : public std::streambuf {
public:
    /// Thrown out of the parser when it would hold too much.
    struct HoldsTooMuch {
        std::size_t at;  ///< how far it has read
    };

    /// `text` must outlive it. `weight_max` bounds what is read between two events: a quote weighs
    /// 1, anything else that can end or begin a token 3, which is 300 bytes of memory at the most.
    MeteredText(std::string_view text, std::size_t weight_max);

    /// The parser has handed out an event, so it holds little.
    void handed_out() noexcept { weight_ = 0; }

protected:
    int_type underflow() override;

private:
    [[nodiscard]] static std::size_t weight_of(char c, bool begins_line) noexcept;

    std::string_view text_;
    std::size_t next_ = 0;  ///< where the next piece begins
    std::size_t weight_ = 0;
    std::size_t weight_max_;
};

}  // namespace corral::load
