#pragma once
// Writes a JSON document as YAML that a person likes to read and that every YAML reader,
// llama-swap's among them, reads back as the same document. Pure; any thread.

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace corral {

/// Block style, two spaces a level, keys in the document's order, texts of several lines as `|`
/// blocks. Ends with a newline. Texts that are not UTF-8 get U+FFFD for what is wrong.
[[nodiscard]] std::string to_yaml(const nlohmann::ordered_json& document);

/// A text as a YAML scalar on one line, quoted where it must be: `a b`, `"yes"`, `"a: b"`. Safe as
/// a value, an item, and (up to 1000 bytes) a key, in block and flow style.
[[nodiscard]] std::string yaml_text(std::string_view text);

}  // namespace corral
