#pragma once
// What was read from a connection and not yet used: one contiguous block that starts small, grows
// while reads fill it, shrinks when they no longer do, and is given back when it is empty. Any
// thread; no I/O.

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace corral::http {

class InputBuffer {
public:
    /// Capacity never exceeds `max` bytes.
    explicit InputBuffer(std::size_t max = 64 * 1024) noexcept : max_(max) {}

    /// The unread bytes. Valid until the next prepare() or release().
    [[nodiscard]] std::string_view data() const noexcept {
        return {block_.get() + begin_, end_ - begin_};
    }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    /// True when no more can be read before something is consumed.
    [[nodiscard]] bool full() const noexcept { return end_ - begin_ >= max_; }

    /// Drops the first `n` unread bytes; data() of before stays readable until prepare().
    void consume(std::size_t n) noexcept;
    /// Room for the next read; empty when full(). Moves the unread bytes to the front and fits the
    /// block to what the last read brought.
    [[nodiscard]] std::span<char> prepare();
    /// Says that `n` bytes of the room were filled.
    void commit(std::size_t n) noexcept;
    /// Gives the memory back if nothing is unread.
    void release() noexcept;
    /// The same if it is more than a first block: for who will soon need that again.
    void shrink() noexcept;

private:
    static constexpr std::size_t first_capacity = 4 * 1024;
    std::unique_ptr<char[]> block_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t max_;
    std::size_t room_ = 0;  ///< what prepare() gave
    std::size_t last_ = 1;  ///< what of it was filled: all, and the next may be larger
};

}  // namespace corral::http
