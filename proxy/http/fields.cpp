#include "proxy/http/fields.hpp"

#include "proxy/http/http_chars.hpp"

#include <algorithm>

namespace corral::http {
namespace {

constexpr std::string_view name_separator = ": ";
constexpr std::string_view field_end = "\r\n";
constexpr std::size_t usual_fields = 24;

}  // namespace

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
    const std::size_t name_at = text_.size();
    text_.append(name).append(name_separator).append(value).append(field_end);
    add_held(name_at, name.size(), name_at + name.size() + name_separator.size(), value.size());
}

void Fields::hold(std::string_view lines) {
    text_ = lines;
    entries_.reserve(usual_fields);
}

void Fields::add_held(std::size_t name_at, std::size_t name_size, std::size_t value_at,
                      std::size_t value_size) {
    entries_.push_back({static_cast<std::uint32_t>(name_at), static_cast<std::uint32_t>(name_size),
                        static_cast<std::uint32_t>(value_at),
                        static_cast<std::uint32_t>(value_size)});
}

std::string_view Fields::line(std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    const std::string_view text(text_);
    const std::size_t name_end = entry.name_at + entry.name_size;
    const std::size_t value_end = entry.value_at + entry.value_size;
    if (entry.value_at != name_end + name_separator.size() ||
        text.substr(name_end, name_separator.size()) != name_separator ||
        text.substr(value_end, field_end.size()) != field_end) {
        return {};
    }
    return text.substr(entry.name_at, value_end + field_end.size() - entry.name_at);
}

bool Fields::is_padded(std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    const std::size_t end = entry.value_at + entry.value_size;
    return end < text_.size() && (text_[end] == ' ' || text_[end] == '\t');
}

std::size_t Fields::remove(std::string_view name) {
    const auto before = entries_.size();
    // The text of removed fields stays behind until the head is gone: it is small and bounded.
    std::erase_if(entries_,
                  [&](const Entry& entry) { return equals_no_case(name_of(entry), name); });
    return before - entries_.size();
}

}  // namespace corral::http
