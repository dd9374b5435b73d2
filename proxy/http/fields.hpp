#pragma once
// Header fields of one message, in the order they came: names compare without case, values are as
// received without surrounding whitespace. Owns its text in one block (two allocations a head).
// Says nothing about what is allowed: head_rules.hpp does. Any thread; no I/O.

#include "proxy/http/http_chars.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http {

/// One header field. The views live as long as the Fields they come from is neither changed nor
/// destroyed.
struct Field {
    std::string_view name;
    std::string_view value;
};

class Fields {
public:
    Fields() = default;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    /// About what they take as lines.
    [[nodiscard]] std::size_t bytes() const noexcept { return text_.size(); }
    /// Requires: index < size().
    [[nodiscard]] Field operator[](std::size_t index) const noexcept {
        const Entry& entry = entries_[index];
        return {name_of(entry), value_of(entry)};
    }

    /// The value of the first field of this name.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
    [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
    /// True when the comma-separated list of any field `name` has this element (no case).
    [[nodiscard]] bool lists(std::string_view name, std::string_view element) const noexcept;

    /// Appends a field. Requires: a valid name and value (header_edit.hpp, checked_value).
    void add(std::string_view name, std::string_view value);
    /// Takes a copy of a head's field lines, for add_held(); comes first, once.
    void hold(std::string_view lines);
    /// Appends a field that stands in the held lines: its name at `name_at`, its value at
    /// `value_at`. Requires: CR LF behind the value or the spaces that follow it.
    void add_held(std::size_t name_at, std::size_t name_size, std::size_t value_at,
                  std::size_t value_size);
    /// The field as one line, `Name: value` and CR LF, if it stands here like that; else empty.
    /// Lines of neighbours are neighbours in memory.
    [[nodiscard]] std::string_view line(std::size_t index) const noexcept;
    /// True when blanks stood behind the value, which are no part of it (RFC 9110 §5.5).
    [[nodiscard]] bool is_padded(std::size_t index) const noexcept;
    /// Removes every field of this name; gives how many there were.
    std::size_t remove(std::string_view name);

    class Iterator {
    public:
        Iterator(const Fields* fields, std::size_t index) noexcept
            : fields_(fields), index_(index) {}
        [[nodiscard]] Field operator*() const noexcept { return (*fields_)[index_]; }
        Iterator& operator++() noexcept {
            ++index_;
            return *this;
        }
        friend bool operator==(const Iterator&, const Iterator&) = default;

    private:
        const Fields* fields_;
        std::size_t index_;
    };
    [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] Iterator end() const noexcept { return {this, size()}; }

private:
    struct Entry {
        std::uint32_t name_at, name_size, value_at, value_size;
    };
    [[nodiscard]] std::string_view name_of(const Entry& entry) const noexcept {
        return {text_.data() + entry.name_at, entry.name_size};
    }
    [[nodiscard]] std::string_view value_of(const Entry& entry) const noexcept {
        return {text_.data() + entry.value_at, entry.value_size};
    }

    std::string text_;
    std::vector<Entry> entries_;
};

/// ASCII comparison without case, as field names, codings and connection options need it.
[[nodiscard]] inline bool equals_no_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] != b[i] && chars::to_lower(a[i]) != chars::to_lower(b[i])) {
            return false;
        }
    }
    return true;
}

/// Takes the next element off a comma-separated list (RFC 9110 §5.6.1): trimmed, empty ones
/// skipped; nullopt at the end. Quoted strings are not understood: no list here has them.
[[nodiscard]] std::optional<std::string_view> next_element(std::string_view& list) noexcept;

}  // namespace corral::http
