#include "proxy/http/input_buffer.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace corral::http {

void InputBuffer::consume(std::size_t n) noexcept {
    assert(n <= end_ - begin_);
    begin_ += n;
}

std::span<char> InputBuffer::prepare() {
    const std::size_t unread = end_ - begin_;
    const bool grow = capacity_ == 0 || last_ == room_ || unread == capacity_;
    const bool shrink = unread == 0 && capacity_ > first_capacity && last_ <= first_capacity / 2;
    if (shrink) {
        block_.reset();
        capacity_ = 0;
    }
    if ((grow || shrink) && capacity_ < max_) {
        const std::size_t wanted = std::min(max_, capacity_ == 0 ? first_capacity : capacity_ * 4);
        auto larger = std::make_unique_for_overwrite<char[]>(wanted);
        if (unread != 0) {
            std::memcpy(larger.get(), block_.get() + begin_, unread);
        }
        block_ = std::move(larger);
        capacity_ = wanted;
    } else if (begin_ != 0 && unread != 0) {
        std::memmove(block_.get(), block_.get() + begin_, unread);
    }
    begin_ = 0;
    end_ = unread;
    room_ = capacity_ - end_;
    return {block_.get() + end_, capacity_ - end_};
}

void InputBuffer::commit(std::size_t n) noexcept {
    assert(n <= capacity_ - end_);
    last_ = n;
    end_ += n;
}

void InputBuffer::release() noexcept {
    if (empty()) {
        block_.reset();
        capacity_ = begin_ = end_ = 0;
        last_ = room_ = 0;
    }
}

void InputBuffer::shrink() noexcept {
    if (capacity_ > first_capacity) {
        release();
    }
}

}  // namespace corral::http
