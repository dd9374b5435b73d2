#include "core/load/key_check.hpp"

#include "core/nearest.hpp"

#include <algorithm>
#include <deque>
#include <vector>

namespace corral::load {
namespace {

std::string below(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
}

/// One level of the table, and the path that leads there.
struct Level {
    std::string path;
    std::span<const Key> keys;
};

/// Where a key belongs that is known, but not here; the nearest to the top when in several places.
std::string home_of(std::string_view name) {
    if (find_key(model_keys(), name) != nullptr) {
        return "it belongs to a model, below models.<name>";
    }
    if (find_key(top_level_keys(), name) != nullptr) {
        return "it belongs to the top level of the file";
    }
    std::deque<Level> levels{{"", top_level_keys()}};
    for (; !levels.empty(); levels.pop_front()) {
        const Level& level = levels.front();
        if (find_key(level.keys, name) != nullptr) {
            return "it belongs below " + level.path;
        }
        for (const Key& key : level.keys) {
            const std::string any = key.shape == Shape::named ? ".<name>" : "";
            levels.push_back({below(level.path, key.name) + any, key.members()});
        }
    }
    return {};
}

void unknown_key(const Node& name, std::span<const Key> keys, Reader& reader,
                 const std::string& path) {
    if (reader.report().full()) {
        reader.report().warn(name.mark, "");  // counted only
        return;
    }
    std::vector<std::string_view> names;
    std::transform(keys.begin(), keys.end(), std::back_inserter(names),
                   [](const Key& key) { return key.name; });
    std::string hint = home_of(name.text);
    if (const auto nearest = nearest_name(name.text, names); !nearest.empty()) {
        hint = "did you mean \"" + std::string(nearest) + "\"?";
    }
    const std::string where = reader.place(path);
    reader.report().warn(name.mark,
                         "unknown key \"" + name.text + "\"" +
                             (where.empty() ? "" : " in " + where) + ": it is ignored",
                         hint);
}

/// Keys that people use for blocks of anchors, and that no version will ever give a meaning.
bool is_private(std::string_view name) {
    return name.starts_with("x-") || name.starts_with('.') || name.starts_with('_');
}

}  // namespace

void KeyCheck::mapping(const Node& map, std::span<const Key> keys, Reader& reader,
                       const std::string& path) {
    for (const Entry& entry : map.entries) {
        if (const Key* key = find_key(keys, entry.key->text)) {
            known(*entry.value, *key, reader, below(path, key->name));
        } else if (!(path.empty() && is_private(entry.key->text))) {
            unknown_key(*entry.key, keys, reader, path);
        }
    }
}

void KeyCheck::known(const Node& value, const Key& key, Reader& reader, const std::string& path) {
    if (value.is_null()) {
        return;
    }
    if (key.traits.support == Support::later) {
        no_effect(value, key, path);
    }
    if (key.traits.support == Support::silent) {
        reader.check_macros(value, path);
    }
    if (key.shape != Shape::mapping && key.shape != Shape::named) {
        return;
    }
    if (!value.is_map()) {
        reader.type_error(value, path, "a mapping");
    } else if (key.shape == Shape::mapping) {
        mapping(value, key.members(), reader, path);
    }
}

void KeyCheck::no_effect(const Node& value, const Key& key, const std::string& path) {
    Use& use = uses_[&key];
    if (++use.count == 1) {
        use.first = value.mark;
        use.path = path;
    }
}

void KeyCheck::finish(Report& report) {
    for (const auto& [key, use] : uses_) {
        const std::string more =
            use.count > 1 ? "it is used in " + std::to_string(use.count) + " places" : "";
        report.note(use.first, use.path + " has no effect in this version of Corral", more);
    }
    uses_.clear();
}

}  // namespace corral::load
