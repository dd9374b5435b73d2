#include "core/load/macros.hpp"

#include "core/config.hpp"
#include "core/nearest.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace corral::load {
namespace {

constexpr std::size_t expanded_bytes_max = 1U << 20U;
constexpr std::size_t name_bytes_max = 63;

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

std::size_t count_uses(std::string_view text, std::string_view name) {
    std::size_t uses = 0;
    for (auto at = find_macro(text, 0); at; at = find_macro(text, at->end)) {
        uses += at->name == name ? 1 : 0;
    }
    return uses;
}

}  // namespace

std::optional<MacroReference> find_macro(std::string_view text, std::size_t from) {
    for (auto at = text.find("${", from); at != std::string_view::npos;
         at = text.find("${", at + 1)) {
        auto end = at + 2;
        while (end < text.size() && is_name_character(text[end])) {
            ++end;
        }
        if (end > at + 2 && end < text.size() && text[end] == '}') {
            return MacroReference{at, end + 1, text.substr(at + 2, end - at - 2)};
        }
    }
    return std::nullopt;
}

std::string macro_name_mistake(std::string_view name) {
    const std::string quoted = "macro name '" + std::string(name.substr(0, 200)) + "' ";
    if (name.size() > name_bytes_max) {
        return quoted + "exceeds maximum length of 63 characters";
    }
    for (const char c : name) {
        if (!is_name_character(c)) {
            return quoted + "contains invalid characters, must match pattern ^[a-zA-Z0-9_-]+$";
        }
    }
    if (name.empty()) {
        return quoted + "contains invalid characters, must match pattern ^[a-zA-Z0-9_-]+$";
    }
    if (name == "PID" || name == "PORT" || name == "MODEL_ID") {
        return quoted + "is reserved";
    }
    return {};
}

bool MacroBudget::spend(std::size_t bytes) noexcept {
    if (bytes > left_) {
        return false;
    }
    left_ -= bytes;
    return true;
}

MacroScope::MacroScope(const MacroScope& global, std::string_view model_id)
    : global_(&global), next_rank_(global.next_rank_) {
    own_["MODEL_ID"] = {0, std::string(model_id)};
}

const MacroScope::Macro* MacroScope::find(const std::string& name) const {
    if (const auto own = own_.find(name); own != own_.end()) {
        return &own->second;
    }
    return global_ != nullptr ? global_->find(name) : nullptr;
}

std::string MacroScope::nearest(std::string_view name) const {
    std::vector<std::string_view> names;
    if (global_ != nullptr) {
        names.emplace_back("PORT");  // of models only
    }
    for (const MacroScope* scope = this; scope != nullptr; scope = scope->global_) {
        for (const auto& [known, macro] : scope->own_) {
            names.emplace_back(known);
        }
    }
    std::sort(names.begin(), names.end());
    return std::string(nearest_name(name, names));
}

void MacroScope::define(const std::string& name, Value value) {
    const Macro* known = find(name);
    const auto rank = known != nullptr ? known->rank : next_rank_++;
    own_[name] = {rank, std::move(value)};
}

Result<Value> MacroScope::expand(Value value, MacroBudget& budget) const {
    auto below = std::numeric_limits<std::size_t>::max();
    while (const auto* text = std::get_if<std::string>(&value)) {
        // The highest-ranked macro that is used and whose turn has not passed.
        const Macro* next = nullptr;
        MacroReference use{};
        for (auto at = find_macro(*text, 0); at; at = find_macro(*text, at->end)) {
            const Macro* macro = find(std::string(at->name));
            if (macro != nullptr && macro->rank < below &&
                (next == nullptr || macro->rank > next->rank)) {
                next = macro;
                use = *at;
            }
        }
        if (next == nullptr) {
            break;
        }
        below = next->rank;
        const std::string name(use.name);
        const bool whole = use.begin == 0 && use.end == text->size();
        const std::string with = to_text(next->value);
        const auto bytes =
            whole ? with.size() : text->size() + count_uses(*text, name) * with.size();
        if (bytes > expanded_bytes_max || !budget.spend(bytes)) {
            return Error(Errc::invalid_config, Blame::internal,
                         "macro '" + name +
                             "' makes it too large: more than 1 MiB in one value, or 64 MiB in "
                             "the whole file");
        }
        value = whole ? next->value : Value(replace_macro(*text, name, with));
    }
    return value;
}

}  // namespace corral::load
