#pragma once
// What time it is, as the Date field of an answer says it (RFC 9110 §5.6.7): written once a second
// at most, and only when somebody asks. Allocates nothing. One thread.

#include <array>
#include <cstddef>
#include <ctime>
#include <string_view>

namespace corral::http {

class DateClock {
public:
    static constexpr std::size_t date_bytes = 29;

    /// The present second: `Sun, 06 Nov 1994 08:49:37 GMT`. Good until the next call.
    [[nodiscard]] std::string_view now() const noexcept;
    /// The same for a second that is given, since 1970; one beyond year 9999 is the last of it.
    [[nodiscard]] std::string_view at(std::time_t second) const noexcept;

private:
    mutable std::time_t written_ = -1;
    mutable std::array<char, date_bytes> text_{};
};

}  // namespace corral::http
