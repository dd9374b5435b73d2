#pragma once
// Finds the field "model" of form bodies while their bytes pass: multipart/form-data (RFC 7578,
// 2046) and application/x-www-form-urlencoded. Bounded; the bytes are neither kept nor changed.
// Pure; any thread.

#include "core/error.hpp"
#include "proxy/http/model_field.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace corral::http {

/// The boundary of a `multipart/form-data; boundary=…` Content-Type: 1–70 characters of RFC 2046.
/// nullopt when it is not multipart/form-data or has no valid boundary.
[[nodiscard]] std::optional<std::string> multipart_boundary(std::string_view content_type);

class MultipartModel {
public:
    /// Requires: a boundary from multipart_boundary().
    explicit MultipartModel(std::string_view boundary);

    /// Scans the next piece. complete: the closing boundary was read; what follows is ignored.
    [[nodiscard]] Verdict feed(std::string_view bytes);
    /// The body has ended: complete or malformed (bad_request).
    [[nodiscard]] Verdict finish();

    [[nodiscard]] bool has_model() const noexcept { return has_model_; }
    [[nodiscard]] std::string_view model() const noexcept;
    /// Where the value stands in the body: [first, second).
    [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> span() const noexcept { return span_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }
    /// bad_request with reason and offset. Requires: malformed.
    [[nodiscard]] Error error() const;

    static constexpr std::size_t part_head_bytes_max = 8 * 1024;
    static constexpr std::size_t parts_max = 1000;

private:
    enum class At : std::uint8_t { preamble, after_boundary, part_head, part_body, end };
    void take(std::string_view& bytes);
    void take_body(std::string_view& bytes);
    void take_after_boundary(std::string_view& bytes);
    void take_part_head(std::string_view& bytes);
    void begin_body(At at) noexcept;
    void end_body();
    void end_head_line();
    void begin_part();
    void keep(std::string_view bytes);
    void fail(std::string_view reason) noexcept { reason_ = reason; }
    [[nodiscard]] Verdict verdict() const noexcept;
    void advance(std::string_view& bytes, std::size_t n) noexcept;

    std::string delimiter_;    ///< CRLF "--" boundary
    std::size_t matched_ = 2;  ///< of the delimiter, by the bytes before offset_
    bool at_line_start_ =
        true;  ///< the first two of them stand before the body: not matched really
    At at_ = At::preamble;
    bool keeping_ = false, has_model_ = false, saw_model_ = false;
    std::size_t parts_ = 0;
    std::string line_;                        ///< of a part's head, or what follows a boundary
    std::optional<std::string> disposition_;  ///< the part's Content-Disposition
    std::size_t head_bytes_ = 0;
    std::uint64_t offset_ = 0;
    std::pair<std::uint64_t, std::uint64_t> span_{0, 0};
    std::string model_;
    std::string_view reason_;
};

class UrlencodedModel {
public:
    [[nodiscard]] Verdict feed(std::string_view bytes);
    [[nodiscard]] Verdict finish();
    [[nodiscard]] bool has_model() const noexcept { return has_model_; }
    [[nodiscard]] std::string_view model() const noexcept;
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }
    /// bad_request with reason and offset. Requires: malformed.
    [[nodiscard]] Error error() const;

private:
    void take(char c);
    void end_pair();
    [[nodiscard]] Verdict verdict(bool ended) const noexcept;

    std::string pair_;       ///< of the pair that is being read, as far as it may matter
    bool skipping_ = false;  ///< this pair does not matter
    bool has_model_ = false, saw_model_ = false;
    std::uint64_t offset_ = 0;
    std::string model_;
    std::string_view reason_;
};

}  // namespace corral::http
