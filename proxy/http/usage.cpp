#include "proxy/http/usage.hpp"

#include <fmt/format.h>

#include <iterator>

namespace corral::http {

std::string log_fields(const Usage& usage) {
    fmt::memory_buffer out;
    const auto put = [&out](const char* name, const auto& value) {
        if (value) {
            fmt::format_to(std::back_inserter(out), " {}={}", name, *value);
        }
    };
    const auto put_rate = [&out](const char* name, const std::optional<double>& value) {
        if (value) {
            fmt::format_to(std::back_inserter(out), " {}={:.1f}", name, *value);
        }
    };
    put("tokens_in", usage.input_tokens);
    put("tokens_cached", usage.cached_tokens);
    put("tokens_out", usage.output_tokens);
    put_rate("prompt_per_second", usage.prompt_per_second);
    put_rate("tokens_per_second", usage.tokens_per_second);
    return fmt::to_string(out);
}

}  // namespace corral::http
