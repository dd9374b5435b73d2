#pragma once
// Keeps what can happen thousands of times a second from filling the log. One thread.

#include "core/time.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace corral::http {

class Seldom {
public:
    /// Counts one more. When it is time to say so, how many it were since it was last said.
    [[nodiscard]] std::optional<std::uint64_t> count(TimePoint now) noexcept {
        ++unsaid_;
        if (said_ && now - *said_ < every) {
            return std::nullopt;
        }
        said_ = now;
        const auto number = unsaid_;
        unsaid_ = 0;
        return number;
    }

    static constexpr std::chrono::seconds every{10};

private:
    std::optional<TimePoint> said_;
    std::uint64_t unsaid_ = 0;
};

}  // namespace corral::http
