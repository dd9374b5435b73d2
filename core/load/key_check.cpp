#include "core/load/key_check.hpp"

#include "core/nearest.hpp"

#include <algorithm>
#include <vector>

namespace corral::load {
namespace {

const Key* find_key(std::span<const Key> keys, std::string_view name) {
    const auto at =
        std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.name == name; });
    return at != keys.end() ? &*at : nullptr;
}

std::string below(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
}

/// Where a key belongs that is known, but not here.
std::string_view home_of(std::string_view name) {
    if (find_key(model_keys(), name) != nullptr) {
        return "it belongs to a model, below models.<name>";
    }
    if (find_key(top_level_keys(), name) != nullptr) {
        return "it belongs to the top level of the file";
    }
    if (find_key(group_keys(), name) != nullptr) {
        return "it belongs to a group, below groups.<name>";
    }
    if (find_key(limit_keys(), name) != nullptr) {
        return "it belongs below limits";
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
    std::string hint(home_of(name.text));
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

bool asks_for_nothing(const Value& value, std::string_view inert) {
    if (std::holds_alternative<std::monostate>(value)) {
        return true;
    }
    if (const auto* flag = std::get_if<bool>(&value)) {
        return !*flag;
    }
    const std::string text = to_text(value);
    if (text.empty()) {
        return true;
    }
    while (!inert.empty()) {
        const auto bar = std::min(inert.find('|'), inert.size());
        if (text == inert.substr(0, bar)) {
            return true;
        }
        inert.remove_prefix(std::min(bar + 1, inert.size()));
    }
    return false;
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
    if (key.shape != Shape::mapping && key.shape != Shape::named) {
        if (key.support != Support::works) {
            leaf(value, key, reader, path);
        }
        return;
    }
    if (value.is_null()) {
        return;
    }
    if (!value.is_map()) {
        reader.type_error(value, path, "a mapping");
    } else if (key.shape == Shape::mapping) {
        mapping(value, key.members, reader, path);
    } else if (key.support != Support::works) {
        named(value, key, reader, path);
    }
}

void KeyCheck::named(const Node& value, const Key& key, Reader& reader, const std::string& path) {
    if (!value.entries.empty()) {
        no_effect(value, key, path);
    }
    for (const Entry& entry : value.entries) {
        const std::string at = below(path, entry.key->text);
        if (entry.value->is_map()) {
            mapping(*entry.value, key.members, reader, at);
        } else if (key.name == "profiles") {
            reader.report().error(entry.value->mark,
                                  at + ": profile must be a mapping with description and pins; "
                                       "the legacy list syntax is no longer supported");
        } else if (!entry.value->is_null()) {
            reader.type_error(*entry.value, at, "a mapping");
        }
    }
}

void KeyCheck::leaf(const Node& value, const Key& key, Reader& reader, const std::string& path) {
    bool idle = value.is_null();
    switch (key.shape) {
        case Shape::boolean:
            idle = !reader.boolean(value, path).value_or(false);
            break;
        case Shape::integer:
            if (const auto number = reader.integer(value, path)) {
                idle = asks_for_nothing(*number, key.inert);
            }
            break;
        case Shape::text:
            if (const auto text = reader.text(value, path)) {
                idle = asks_for_nothing(*text, key.inert);
            }
            break;
        case Shape::texts: {
            const auto list = reader.texts(value, path);
            idle = !list || list->empty();
            break;
        }
        default:
            reader.check_macros(value, path);
            idle = idle || (!value.is_scalar() && value.items.empty() && value.entries.empty());
            break;
    }
    if (!idle && key.support == Support::later) {
        no_effect(value, key, path);
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
        report.warn(use.first, use.path + " is not yet supported and has no effect", more);
    }
    uses_.clear();
}

}  // namespace corral::load
