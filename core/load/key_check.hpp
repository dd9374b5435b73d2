#pragma once
// Holds a mapping against the table of keys: unknown keys with the nearest known one, shapes of
// what has no effect yet, and one warning for each such key. One thread.

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
    /// Checks every key of `map` below `path` (empty: the top level). Leaves that work are left to
    /// whoever reads them, and so are the entries of `models` and `groups`.
    void mapping(const Node& map, std::span<const Key> keys, Reader& reader,
                 const std::string& path);

    /// Reports the keys without effect, each once with the number of its uses.
    void finish(Report& report);

private:
    void known(const Node& value, const Key& key, Reader& reader, const std::string& path);
    void leaf(const Node& value, const Key& key, Reader& reader, const std::string& path);
    void named(const Node& value, const Key& key, Reader& reader, const std::string& path);
    void no_effect(const Node& value, const Key& key, const std::string& path);

    struct Use {
        Mark first;
        std::string path;
        std::size_t count = 0;
    };
    std::unordered_map<const Key*, Use> uses_;
};

}  // namespace corral::load
