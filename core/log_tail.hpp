#pragma once
// The end of an endless text: whole lines, at most 100 KiB of them, each byte with its position
// since the beginning, so that any number of readers follow it without a queue of their own. No
// I/O, no clock; one thread.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

namespace corral {

class LogTail {
public:
    static constexpr std::size_t bytes_max = 100 * 1024;  ///< what is kept, line ends included

    /// Adds a line, which has no line end, and tells whoever follows. One that is too long for the
    /// tail keeps its beginning.
    void append(std::string_view line);

    /// The position of the oldest kept byte: how many bytes were dropped before it.
    [[nodiscard]] std::uint64_t begin() const noexcept { return end_ - text_.size(); }
    /// The position that the next line will have.
    [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
    /// What is kept from this position on, or from begin() when that is later. Valid until the next
    /// append().
    [[nodiscard]] std::string_view from(std::uint64_t position) const noexcept;

    /// Its destruction ends it; it may outlive the tail.
    class Follower {
    public:
        Follower() = default;
        Follower(Follower&&) noexcept = default;
        Follower& operator=(Follower&&) = delete;
        ~Follower();

    private:
        friend class LogTail;
        using Calls = std::list<std::function<void()>>;
        std::weak_ptr<Calls> calls_;
        Calls::iterator place_;
    };
    /// Calls `on_line` after each line. It may neither append nor follow.
    [[nodiscard]] Follower follow(std::function<void()> on_line);
    [[nodiscard]] std::size_t followers() const noexcept { return calls_->size(); }

private:
    std::string text_;
    std::uint64_t end_ = 0;
    std::shared_ptr<Follower::Calls> calls_ = std::make_shared<Follower::Calls>();
};

}  // namespace corral
