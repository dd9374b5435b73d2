#pragma once
// The type of a plain scalar as gopkg.in/yaml.v3 decides it, because llama-swap reads its config
// with that library, and Go's printing of values into strings. Owns this knowledge. Pure; any
// thread.

#include "core/load/yaml_tree.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace corral::load {

/// A scalar's value; monostate is null. An unsigned number only when it does not fit the signed.
using Value = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

/// The value of a plain scalar: `~`, `true`, `0x1f`, `0o14`, `017` (octal), `1_000`, `.inf`, …
/// `yes`, `on`, `no`, `off` are strings here and become booleans only in to_bool().
[[nodiscard]] Value resolve_plain(std::string_view text);

/// The value of a scalar or null node, its tag considered.
[[nodiscard]] Value resolve(const Node& node);

/// As yaml.v3 decodes into a bool: also y, yes, on, n, no, off, Yes, YES, …. nullopt: not a bool.
[[nodiscard]] std::optional<bool> to_bool(const Value& value);

/// As yaml.v3 decodes into an int: a float is cut. nullopt: not a number, or out of range.
[[nodiscard]] std::optional<std::int64_t> to_integer(const Value& value);

/// A number of any kind.
[[nodiscard]] std::optional<double> to_number(const Value& value);

/// As Go's fmt prints it with %v: true, 12, 1.5, 1e+06.
[[nodiscard]] std::string to_text(const Value& value);

/// The tag that yaml.v3 names in its messages: "!!str", "!!int", …
[[nodiscard]] std::string_view tag_name(const Value& value);

}  // namespace corral::load
