#pragma once
// What a chat template (Jinja) is able to render, told from its text without running it. Pure; any
// thread.

#include <string_view>

namespace corral {

struct TemplateTraits {
    bool tools = false;     ///< it looks at `tools`: function calls work
    bool thinking = false;  ///< it marks reasoning, or can switch it on and off
};

/// Requires nothing of the text: it may be cut, or no template at all.
[[nodiscard]] TemplateTraits read_template(std::string_view text);

}  // namespace corral
