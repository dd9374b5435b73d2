#pragma once
// What a request target means. One normal form of the path decides routing and authorization alike;
// the bytes that go upstream stay as the client wrote them. Pure; any thread.

#include "core/error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace corral::http {

struct Target {
    /// Clean and still percent-encoded as the client had it (bytes ≥ 0x80 get encoded): no `//`, no
    /// dot segments. Starts with "/"; "*" for OPTIONS *.
    std::string path;
    /// The path with every %XX decoded except %2F and %25, which stay (upper case): what routes
    /// and keys are decided by. A wildcard taken from it is percent-decoded once more.
    std::string normal;
    std::string query;  ///< without "?", as the client wrote it
    bool has_query = false;
    /// The path was not clean: answer 307 with location() instead of serving it — after
    /// authorization, which looks at `normal` and so decides the same for both spellings.
    bool redirect = false;

    /// path and query as they stand in a Location header or a request line.
    [[nodiscard]] std::string location() const;
};

/// Reads an origin-form target or "*" (RequestHead::target). bad_request for broken or forbidden
/// percent-encoding (NUL anywhere; backslash, control bytes, encoded dot segments outside
/// /upstream/), invalid UTF-8, and paths that climb above their root.
[[nodiscard]] Result<Target> parse_target(std::string_view target);

/// Decodes every %XX; nullopt when one is broken. "+" stays unless `plus_is_space`.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text,
                                                        bool plus_is_space = false);
/// Encodes what may not stand in one path segment, "/" included: for redirects made from names.
[[nodiscard]] std::string percent_encode_segment(std::string_view text);

/// The decoded value of the first `name=` in a query or an urlencoded form. Pairs that are broken
/// are passed over.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);

/// The query with another value for the `name=` that query_value() finds; the rest keeps its bytes.
[[nodiscard]] std::string replace_query_value(std::string_view query, std::string_view name,
                                              std::string_view value);

/// What stands behind the path's first segment, "/" first, as the client wrote it; empty: nothing.
[[nodiscard]] std::string_view path_behind_first_segment(const Target& target) noexcept;

/// /upstream/{model}/{path…}, taken apart.
struct UpstreamTarget {
    std::string model;      ///< the name as searched for, decoded (may be an alias)
    std::string remainder;  ///< path for the upstream, "/" first, the client's bytes
    std::string query;      ///< without "?"
    bool has_query = false;
    /// Nothing stands behind the model, not even "/": redirect to this (path and query), 301 for
    /// GET and HEAD, 308 otherwise. Empty when the request is to be served.
    std::string redirect;

    /// What goes into the upstream's request line.
    [[nodiscard]] std::string request_target() const;
};

using IsModel = std::function<bool(std::string_view name)>;

/// Finds the longest prefix of the segments behind /upstream/ that names a model; %2F inside the
/// name counts as "/". Error: model_not_found (404). Requires: normal starts with "/upstream/".
[[nodiscard]] Result<UpstreamTarget> split_upstream(const Target& target, const IsModel& is_model);

}  // namespace corral::http
