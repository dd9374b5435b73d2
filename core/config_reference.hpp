#pragma once
// The tables of docs/configuration.md, made of the table of keys. The prose around them is written
// by hand; a test holds that the tables are up to date. Pure; any thread.

#include "core/error.hpp"

#include <string>
#include <string_view>

namespace corral {

/// The document with each table between `<!-- keys: SECTION -->` and `<!-- end of keys -->` made
/// anew. Error: invalid_config, when a marker is wrong or a section has no place in the document.
[[nodiscard]] Result<std::string> with_key_tables(std::string_view markdown);

}  // namespace corral
