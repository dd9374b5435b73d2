#pragma once
// What edits of JSON mean, said a second time on parsed documents: the reference that json_edit is
// held against, which works on text. Slow and simple on purpose. For unit tests and fuzz targets.

#include "proxy/http/json_edit.hpp"

#include <nlohmann/json.hpp>

#include <span>
#include <string_view>

namespace corral::http::reference {

using Json = nlohmann::json;

/// False when the document has no place for the value. Of a key that is there several times,
/// nlohmann keeps the last.
inline bool set(Json& at, std::span<const JsonStep> path, const Json& value) {
    if (path.empty()) {
        at = value;
        return true;
    }
    const JsonStep& step = path.front();
    if (!at.is_structured()) {
        at = step.index || step.is_end ? Json::array() : Json::object();
    }
    if (at.is_object()) {
        return set(at[step.key], path.subspan(1), value);
    }
    if (!step.index && !step.is_end) {
        return false;
    }
    const auto index = step.index.value_or(at.size());
    if (index > at.size() + json_edit_padding_max) {
        return false;
    }
    while (at.size() <= index) {
        at.push_back(nullptr);
    }
    return set(at[index], path.subspan(1), value);
}

inline void remove(Json& at, std::span<const JsonStep> path) {
    const JsonStep& step = path.front();
    const bool last = path.size() == 1;
    if (at.is_object()) {
        if (last) {
            at.erase(step.key);
        } else if (at.contains(step.key)) {
            remove(at[step.key], path.subspan(1));
        }
    } else if (at.is_array()) {
        const auto index =
            step.is_end && !at.empty() ? at.size() - 1 : step.index.value_or(at.size());
        if (index < at.size() && last) {
            at.erase(index);
        } else if (index < at.size()) {
            remove(at[index], path.subspan(1));
        }
    }
}

inline bool apply(Json& document, std::span<const JsonEdit> edits) {
    for (const auto& edit : edits) {
        if (edit.kind == JsonEdit::Kind::remove) {
            remove(document, edit.path);
        } else if (!set(document, edit.path, Json::parse(edit.json))) {
            return false;
        }
    }
    return true;
}

/// How many bytes of `a` stand at its beginning or end in `b` as well: all but the one stretch
/// where they differ.
inline std::size_t bytes_in_common(std::string_view a, std::string_view b) {
    std::size_t front = 0;
    while (front < a.size() && front < b.size() && a[front] == b[front]) {
        ++front;
    }
    std::size_t back = 0;
    while (back + front < a.size() && back + front < b.size() &&
           a[a.size() - 1 - back] == b[b.size() - 1 - back]) {
        ++back;
    }
    return front + back;
}

}  // namespace corral::http::reference
