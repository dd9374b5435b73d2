#pragma once
// Reads from the first bytes of an answer that is an error what its server says went wrong, for the
// record of the request. The answer itself passes as it is. Pure; any thread.

#include <cstddef>
#include <string>
#include <string_view>

namespace corral::http {

class ErrorExcerpt {
public:
    /// The next bytes of the answer's body; what exceeds bytes_max is not kept.
    void feed(std::string_view payload);
    /// The first that is a string and not blank of `error.message`, `error`, `message` and `detail`
    /// of a JSON body, without spaces around it and cut to message_bytes_max. Empty when there is
    /// none: then only the status says what happened.
    [[nodiscard]] std::string message() const;

    static constexpr std::size_t bytes_max = 4096;
    static constexpr std::size_t message_bytes_max = 500;

private:
    std::string begin_;  ///< of the body
    bool is_cut_ = false;
};

}  // namespace corral::http
