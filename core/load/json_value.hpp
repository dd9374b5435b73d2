#pragma once
// Values of the file as JSON, spelled as llama-swap's Go spells them: keys sorted, `1.0` as `1`,
// `<` as `\u003c`. Pure but for the reports of the reader; one thread.

#include "core/load/reader.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace corral::load {

/// A value as Go's encoding/json writes it; nullopt for NaN and infinity, which JSON cannot say.
[[nodiscard]] std::optional<std::string> json_of(const Value& value);

/// The same as sjson writes it when it is put into a document by itself: numbers without an
/// exponent, plain ASCII texts without escapes.
[[nodiscard]] std::optional<std::string> plain_json_of(const Value& value);

/// A node and all below it, macros expanded. nullopt after reporting what cannot be used.
[[nodiscard]] std::optional<std::string> read_json(Reader& reader, const Node& node,
                                                   std::string_view path);

/// The same for a value that a filter sets: see plain_json_of().
[[nodiscard]] std::optional<std::string> read_setting(Reader& reader, const Node& node,
                                                      std::string_view path);

}  // namespace corral::load
