#include "proxy/http/fields.hpp"

#include "proxy/http/http_chars.hpp"

#include <algorithm>

namespace corral::http {

bool equals_no_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return chars::to_lower(x) == chars::to_lower(y); });
}

std::optional<std::string_view> next_element(std::string_view& list) noexcept {
    while (!list.empty()) {
        const auto comma = list.find(',');
        const auto element = chars::trim(list.substr(0, comma));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        if (!element.empty()) {
            return element;
        }
    }
    return std::nullopt;
}

Field Fields::operator[](std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    const std::string_view text = text_;
    return {text.substr(entry.name_at, entry.name_size),
            text.substr(entry.value_at, entry.value_size)};
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept {
    for (const Field field : *this) {
        if (equals_no_case(field.name, name)) {
            return field.value;
        }
    }
    return std::nullopt;
}

std::size_t Fields::count(std::string_view name) const noexcept {
    std::size_t out = 0;
    for (const Field field : *this) {
        out += equals_no_case(field.name, name) ? 1 : 0;
    }
    return out;
}

bool Fields::lists(std::string_view name, std::string_view element) const noexcept {
    for (const Field field : *this) {
        if (!equals_no_case(field.name, name)) {
            continue;
        }
        std::string_view list = field.value;
        while (const auto each = next_element(list)) {
            if (equals_no_case(*each, element)) {
                return true;
            }
        }
    }
    return false;
}

void Fields::add(std::string_view name, std::string_view value) {
    const auto name_at = static_cast<std::uint32_t>(text_.size());
    const auto value_at = static_cast<std::uint32_t>(text_.size() + name.size());
    entries_.push_back({name_at, static_cast<std::uint32_t>(name.size()), value_at,
                        static_cast<std::uint32_t>(value.size())});
    // append() copes with views into text_ itself only while it does not grow: reserve first would
    // not help either, so such views are not allowed (header: views end with a change).
    text_.append(name).append(value);
}

std::size_t Fields::remove(std::string_view name) {
    const auto before = entries_.size();
    // The text of removed fields stays behind until the head is gone: it is small and bounded.
    std::erase_if(entries_, [&](const Entry& entry) {
        return equals_no_case(std::string_view(text_).substr(entry.name_at, entry.name_size), name);
    });
    return before - entries_.size();
}

void Fields::reserve(std::size_t bytes, std::size_t fields) {
    text_.reserve(bytes);
    entries_.reserve(fields);
}

}  // namespace corral::http
