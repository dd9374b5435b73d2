#pragma once
// The table of the keys that a config may hold, one entry a key: the only place that says what
// there is. The loader checks files against it (key_check.hpp), core/config_schema.hpp makes the
// JSON Schema of it and core/config_reference.hpp the tables of docs/configuration.md. The entries
// are in keys.cpp and keys_of_*.cpp. Constant data; any thread.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace corral::load {

enum class Shape : std::uint8_t {
    boolean,
    integer,
    seconds,            ///< an integer
    span,               ///< Corral's durations: seconds, or a text with a unit
    duration,           ///< Go's durations: a text with a unit
    interval,           ///< a span, or a bool: `true` is the usual one, `false` and 0 are none
    size,               ///< bytes, or a text with a unit
    text,               ///< or any other scalar, taken as it is written
    word,               ///< one of `words`
    url,                ///< http or https
    endpoint,           ///< a URL, or unix:///path
    texts,              ///< a list of texts
    text_or_texts,      ///< or one text, which stands for a list of it
    words,              ///< a list of `words`
    patterns,           ///< a list of regular expressions (RE2)
    assignments,        ///< a list of NAME=value
    mapping,            ///< the keys of members()
    named,              ///< names of the user's choice, each with a mapping of members()
    scalars_by_name,    ///< names → scalars
    texts_by_name,      ///< names → texts, or nothing
    integers_by_name,   ///< names → integers
    anything_by_name,   ///< names → whatever the user likes
    settings_by_names,  ///< names → names → whatever the user likes
};

enum class Support : std::uint8_t {
    works,
    later,   ///< llama-swap's, read and checked, without effect in this version
    silent,  ///< known, and without a meaning in llama-swap, too
};

struct Key;
using KeyTable = std::span<const Key> (*)() noexcept;

/// What not every key has.
struct Traits {
    Support support = Support::works;
    bool extension = false;  ///< Corral's own, with everything below it: llama-swap ignores it
    bool required = false;   ///< a config without it is wrong where its mapping stands
    bool any_case = false;   ///< of a word: capitals do not matter
    /// Bounds of the number, in seconds or bytes (a span's in milliseconds); of the numbers of
    /// integers_by_name; of how many entries any other list or map has.
    std::int64_t least = std::numeric_limits<std::int64_t>::min();
    std::int64_t most = std::numeric_limits<std::int64_t>::max();
    std::span<const std::string_view> words = {};
    std::string_view names = {};      ///< the regular expression of what may be a name
    std::string_view otherwise = {};  ///< what holds by default when that is no value
    std::string_view compared = {};   ///< how llama-swap differs
    KeyTable members = nullptr;
};

struct Key {
    std::string_view name;
    Shape shape;
    std::string_view preset;   ///< the default as it can be written; empty: there is no such text
    std::string_view meaning;  ///< a sentence without its full stop, Markdown's backquotes allowed
    Traits traits = {};

    [[nodiscard]] std::span<const Key> members() const noexcept {
        return traits.members != nullptr ? traits.members() : std::span<const Key>();
    }
    [[nodiscard]] bool has_least() const noexcept { return traits.least != Traits().least; }
    [[nodiscard]] bool has_most() const noexcept { return traits.most != Traits().most; }
};

/// The key with this name, or nullptr. Those of `limits:` have a second spelling: snake_case().
[[nodiscard]] const Key* find_key(std::span<const Key> keys, std::string_view name) noexcept;

/// `bodyBuffered` as `body_buffered`.
[[nodiscard]] std::string snake_case(std::string_view name);

[[nodiscard]] std::span<const Key> top_level_keys() noexcept;
[[nodiscard]] std::span<const Key> model_keys() noexcept;
[[nodiscard]] std::span<const Key> group_keys() noexcept;
[[nodiscard]] std::span<const Key> matrix_keys() noexcept;
[[nodiscard]] std::span<const Key> routing_keys() noexcept;
[[nodiscard]] std::span<const Key> profile_keys() noexcept;
[[nodiscard]] std::span<const Key> selector_keys() noexcept;
[[nodiscard]] std::span<const Key> peer_keys() noexcept;
[[nodiscard]] std::span<const Key> limit_keys() noexcept;
[[nodiscard]] std::span<const Key> discovery_keys() noexcept;
/// What models and peers share.
[[nodiscard]] std::span<const Key> filter_keys() noexcept;

}  // namespace corral::load
