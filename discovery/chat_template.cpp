// Reading chat templates; see chat_template.hpp. A word of the prose in a template proves nothing
// ("you have no tools"), so names are looked for in its code only: between {% %} and {{ }}.

#include "discovery/chat_template.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace corral {

namespace {

/// The marks that models put around their reasoning.
constexpr std::array<std::string_view, 7> reasoning_marks{
    "<think>",         "</think>",           "[THINK]", "<|START_THINKING|>", "<seed:think>",
    "<|think_start|>", "<|channel|>analysis"};

/// The variables and fields by which reasoning is switched or kept.
constexpr std::array<std::string_view, 5> reasoning_names{
    "enable_thinking", "thinking", "reasoning_content", "reasoning_effort", "reasoning"};

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// True when `code` has this name in it, not as a part of a longer one.
bool has_name(std::string_view code, std::string_view name) {
    for (std::size_t at = code.find(name); at != std::string_view::npos;
         at = code.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        const bool begins = at == 0 || !is_word(code[at - 1]);
        if (begins && (end == code.size() || !is_word(code[end]))) {
            return true;
        }
    }
    return false;
}

/// The first piece of code from `text`, which is cut off behind it; empty: there is none.
std::string_view take_code(std::string_view& text) {
    for (std::size_t at = text.find('{'); at != std::string_view::npos && at + 1 < text.size();
         at = text.find('{', at + 1)) {
        const char kind = text[at + 1];
        if (kind != '%' && kind != '{') {
            continue;
        }
        const std::size_t begin = at + 2;
        const std::size_t end = text.find(kind == '%' ? "%}" : "}}", begin);
        const std::string_view code = text.substr(begin, end - begin);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
        return code;
    }
    text = {};
    return {};
}

}  // namespace

TemplateTraits read_template(std::string_view text) {
    TemplateTraits traits;
    traits.thinking = std::any_of(
        reasoning_marks.begin(), reasoning_marks.end(),
        [&](std::string_view mark) { return text.find(mark) != std::string_view::npos; });
    while (!text.empty()) {
        const std::string_view code = take_code(text);
        traits.tools = traits.tools || has_name(code, "tools");
        traits.thinking = traits.thinking ||
                          std::any_of(reasoning_names.begin(), reasoning_names.end(),
                                      [&](std::string_view name) { return has_name(code, name); });
    }
    return traits;
}

}  // namespace corral
