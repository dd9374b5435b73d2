#pragma once
// The name of a request, by which its line in the log, its answer and the model's own log are found
// again: the client's X-Request-Id, or one of ours. Main loop.

#include "proxy/http/fields.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace corral::api {

/// Ids that no two requests share, of one program or another: 16 hexadecimal digits.
class RequestIds {
public:
    using Text = std::array<char, 16>;

    /// Begins at a random place.
    RequestIds();
    explicit RequestIds(std::uint64_t begin) noexcept : next_(begin) {}
    [[nodiscard]] Text make() noexcept;

private:
    std::uint64_t next_;
};

/// The client's id, when there is exactly one, of 1 to 128 letters, digits and the signs that such
/// ids are made of (RFC 9110's token, and `/ : = @`): nothing that ends a field of the log.
[[nodiscard]] std::optional<std::string_view> sane_request_id(const http::Fields& fields) noexcept;

}  // namespace corral::api
