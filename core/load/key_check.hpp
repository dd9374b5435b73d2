#pragma once
// Holds a mapping against the table of keys: unknown keys with the nearest known one, and one note
// for each key that has no effect yet. One thread.

#include "core/load/keys.hpp"
#include "core/load/reader.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace corral::load {

class KeyCheck {
public:
    /// Checks every key of `map` below `path` (empty: the top level). Values are left to whoever
    /// reads them, and so are the entries of `models`, `groups` and everything else with names of
    /// the user's choice.
    void mapping(const Node& map, std::span<const Key> keys, Reader& reader,
                 const std::string& path);

    /// Reports the keys without effect, each once with the number of its uses.
    void finish(Report& report);

private:
    void known(const Node& value, const Key& key, Reader& reader, const std::string& path);
    void no_effect(const Node& value, const Key& key, const std::string& path);

    struct Use {
        Mark first;
        std::string path;
        std::size_t count = 0;
    };
    std::unordered_map<const Key*, Use> uses_;
};

}  // namespace corral::load
