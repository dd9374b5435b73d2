#pragma once
// What an answer said about itself: how many tokens went in and came out, and how fast. A plain
// value; whatever the answer did not say is absent.

#include <cstdint>
#include <optional>
#include <string>

namespace corral::http {

struct Usage {
    std::optional<std::uint64_t> input_tokens;
    std::optional<std::uint64_t> output_tokens;
    std::optional<std::uint64_t> cached_tokens;  ///< of the prompt, not computed again
    std::optional<std::uint64_t> draft_tokens;   ///< by speculative decoding; both or none
    std::optional<std::uint64_t> draft_accepted_tokens;
    std::optional<double> prompt_per_second;  ///< tokens of the prompt
    std::optional<double> tokens_per_second;  ///< tokens of the answer
    std::optional<double> prompt_ms;          ///< the server's own clock
    std::optional<double> predicted_ms;

    friend bool operator==(const Usage&, const Usage&) = default;
};

/// For the log's line of a request, ` tokens_in=12 tokens_out=34 tokens_per_second=56.7`: of what
/// is known, with a space before each. Empty when that is nothing.
[[nodiscard]] std::string log_fields(const Usage& usage);

}  // namespace corral::http
