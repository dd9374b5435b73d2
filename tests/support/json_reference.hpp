#pragma once
// What a body means, said a second time on parsed documents: the reference that model_field and
// json_edit, which work on text, are held against. Slow and simple on purpose. For unit tests and
// fuzz targets.

#include "proxy/http/json_edit.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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

/// What nlohmann sees in a document that it reads through once, where a tree would hide it.
class Reading final : public nlohmann::json_sax<Json> {
public:
    explicit Reading(std::string_view text)
        : valid_(nlohmann::json::sax_parse(text.begin(), text.end(), this)) {}

    /// It is JSON, and neither too deep nor with two models at its top.
    [[nodiscard]] bool acceptable() const { return valid_ && deepest_ <= 128 && models_ <= 1; }
    /// nlohmann has no opinion: a number is too large for a double, which JSON allows.
    [[nodiscard]] bool overflows() const { return overflows_; }
    [[nodiscard]] std::size_t deepest() const { return deepest_; }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(std::size_t) override { return open(); }
    bool start_array(std::size_t) override { return open(); }
    bool key(string_t& text) override {
        models_ += depth_ == 1 && text == "model" ? 1 : 0;
        return true;
    }
    bool end_object() override { return depth_-- > 0; }
    bool end_array() override { return depth_-- > 0; }
    bool parse_error(std::size_t, const std::string&,
                     const nlohmann::detail::exception& error) override {
        overflows_ = error.id == 406;
        return false;
    }

private:
    bool open() {
        deepest_ = std::max(deepest_, ++depth_);
        return true;
    }

    std::size_t depth_ = 0, deepest_ = 0, models_ = 0;
    bool overflows_ = false;
    bool valid_;  ///< last: what is above it is counted while it is found out
};

/// Whether `model`, whose value stands in the text at `span`, is what the document names: a number
/// as it is written, a string without its escapes, nothing when it names none. Requires: JSON.
inline bool names_model(std::string_view text, std::string_view model,
                        std::pair<std::uint64_t, std::uint64_t> span) {
    const auto json = Json::parse(text);
    const auto value = json.is_object() ? json.value("model", Json()) : Json();
    if (!value.is_number() && (!value.is_string() || value == "")) {
        return model.empty();
    }
    const auto raw = text.substr(span.first, span.second - span.first);
    return Json::parse(raw, nullptr, false) == value &&
           (value.is_string() ? value : Json(raw)) == model;
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
