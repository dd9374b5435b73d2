#pragma once
// Changes values of a JSON document in its text, as sjson (which llama-swap uses) does: every byte
// outside the changed paths stays, spelling of numbers, order and whitespace included. The document
// is opened only where an edit goes, and copied once. Pure; any thread.

#include "core/error.hpp"
#include "proxy/http/json_path.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace corral::http {

/// One change.
struct JsonEdit {
    enum class Kind : std::uint8_t { remove, set };

    Kind kind = Kind::set;
    JsonPath path;     ///< not empty
    std::string json;  ///< the value for `set`: one JSON value without whitespace around it
};

/// The document with the edits applied one after the other.
///  - set: the value stands in place of the old one. A missing key is put behind the last one, an
///    element beyond an array's end behind `null`s; -1 appends. Missing parents are made: arrays
///    where the next step is an index or -1, else objects. What is neither (a number, null) is
///    replaced by a parent.
///  - remove: the key, its value and one comma. What is not there is no error.
///  - A key that an object has several times is meant every time: readers of JSON disagree about
///    which one counts, and none of them may see what was removed or replaced. Keys are compared
///    without their escapes.
/// Requires: `document` is one valid JSON document, nested no deeper than its reader allows.
/// Errors: bad_request when the document has no place for a value (a key in an array, an index far
/// beyond its end) or more members than `json_edit_members_max` where edits go.
[[nodiscard]] Result<std::string> edit_json(std::string_view document,
                                            std::span<const JsonEdit> edits);

/// A text as a JSON string, quotes included.
[[nodiscard]] std::string json_quoted(std::string_view text);

/// Members and elements of all objects and arrays that edits go into.
inline constexpr std::size_t json_edit_members_max = 100'000;
/// `null`s that one edit puts before a new element.
inline constexpr std::size_t json_edit_padding_max = 1'000;

}  // namespace corral::http
