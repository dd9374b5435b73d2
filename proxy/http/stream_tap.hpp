#pragma once
// Reads usage and timings from the bytes of an answer while they pass: of an event stream each
// `data:` line that may hold some, of anything else the one JSON document that it may be. Keeps
// numbers only, allocates nothing, and never delays or changes what passes. Pure; any thread.

#include "proxy/http/usage.hpp"
#include "proxy/http/usage_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace corral::http {

class StreamTap {
public:
    /// Reads nothing.
    StreamTap() = default;
    /// For an answer with these fields; empty when it has none. What is compressed is not read.
    StreamTap(std::string_view content_type, std::string_view content_encoding) noexcept;

    /// The next bytes of the answer's body, without the framing of a transfer coding.
    void feed(std::string_view payload) noexcept;
    /// What the answer said. An event or document that is not whole said nothing.
    [[nodiscard]] Usage finish() noexcept;

private:
    enum class Mode : std::uint8_t { off, events, document };

    void take_line(std::string_view bytes) noexcept;
    void end_line() noexcept;
    void end_document() noexcept;

    Mode mode_ = Mode::off;
    bool skipping_ = false;         ///< this line says nothing
    std::uint8_t prefix_size_ = 0;  ///< of "data:", as far as this line has it
    bool line_begun_ = false;
    UsageReader reader_{UsageReader::Document::event};
    UsageCounts counts_;
    UsageNumbers numbers_;
};

}  // namespace corral::http
