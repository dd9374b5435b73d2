#include "proxy/http/fields.hpp"

#include "proxy/http/http_chars.hpp"

#include <algorithm>

namespace corral::http {

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

std::string_view Fields::name_of(const Entry& entry) const noexcept {
    return {text_.data() + entry.name_at, entry.name_size};
}

std::string_view Fields::value_of(const Entry& entry) const noexcept {
    return {text_.data() + entry.value_at, entry.value_size};
}

Field Fields::operator[](std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    return {name_of(entry), value_of(entry)};
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept {
    for (const Entry& entry : entries_) {
        if (equals_no_case(name_of(entry), name)) {
            return value_of(entry);
        }
    }
    return std::nullopt;
}

std::size_t Fields::count(std::string_view name) const noexcept {
    std::size_t out = 0;
    for (const Entry& entry : entries_) {
        out += equals_no_case(name_of(entry), name) ? 1 : 0;
    }
    return out;
}

bool Fields::lists(std::string_view name, std::string_view element) const noexcept {
    for (const Entry& entry : entries_) {
        if (!equals_no_case(name_of(entry), name)) {
            continue;
        }
        std::string_view list = value_of(entry);
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
    text_.append(name).append(value);
}

std::size_t Fields::remove(std::string_view name) {
    const auto before = entries_.size();
    // The text of removed fields stays behind until the head is gone: it is small and bounded.
    std::erase_if(entries_,
                  [&](const Entry& entry) { return equals_no_case(name_of(entry), name); });
    return before - entries_.size();
}

void Fields::reserve(std::size_t bytes, std::size_t fields) {
    text_.reserve(bytes);
    entries_.reserve(fields);
}

}  // namespace corral::http
