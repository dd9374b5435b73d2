#pragma once
// What a found model can do, in the words of the config's `capabilities` and `metadata`. Pure; any
// thread.

#include "core/model_config.hpp"
#include "discovery/catalogue.hpp"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace corral {

/// In and out modalities, tools, reranker, and the context that its command gives it.
[[nodiscard]] Capabilities capabilities_of(const FoundModel& model);

/// One entry of a model's `metadata`. The text is foreign and bounded: printable ASCII only.
struct MetadataEntry {
    std::string key;
    std::variant<std::uint64_t, bool, std::string> value;
};

/// What the file says of itself, unknown things left out; in the order in which it is written. The
/// keys that a listing makes of `capabilities` (architecture, context_length …) are none of them.
[[nodiscard]] std::vector<MetadataEntry> metadata_of(const FoundModel& model);

}  // namespace corral
