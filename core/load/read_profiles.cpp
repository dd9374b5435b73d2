// Profiles: sets of model names that lead elsewhere while one of them is active.
#include "core/load/loading.hpp"

#include <utility>

namespace corral::load {
namespace {

void read_pin(Loading& loading, Reader& reader, const Entry& entry, ProfileConfig& profile) {
    const std::string path = "profiles." + profile.name + ".pins";
    const std::string& name = entry.key->text;
    if (trimmed(name).empty()) {
        loading.report.error(entry.key->mark, path + ": pin names cannot be empty");
        return;
    }
    const auto peer = loading.peer_names.find(name);
    if (peer != loading.peer_names.end() && peer->second.is_full) {
        loading.report.error(entry.key->mark, "profile " + profile.name + " pin \"" + name +
                                                  "\" conflicts with fully qualified peer model "
                                                  "name");
    }
    ProfilePin pin{name, ""};
    if (!entry.value->is_null()) {
        const auto target = reader.text(*entry.value, path + "." + name);
        if (!target) {
            return;
        }
        pin.target = *target;
    }
    if (!pin.target.empty() && loading.resolve(pin.target).empty() &&
        loading.resolve_peer(pin.target).empty() && !loading.selector_ids.contains(pin.target)) {
        loading.report.error(entry.value->mark,
                             path + "." + name + " references unknown model \"" + pin.target + "\"",
                             loading.nearest_model(pin.target));
        return;
    }
    profile.pins.push_back(std::move(pin));
}

}  // namespace

void read_profiles(Loading& loading) {
    const Node* profiles = loading.root.find("profiles");
    if (profiles == nullptr || !profiles->is_map()) {
        return;  // the check of keys has reported it
    }
    Reader reader = loading.reader();
    for (const auto& [key, node] : in_order(*profiles)) {
        if (!node->is_map() && !node->is_null()) {
            loading.report.error(node->mark,
                                 "profiles." + key->text +
                                     ": profile must be a mapping with description and pins; the "
                                     "legacy list syntax is no longer supported");
            continue;
        }
        const std::string path = "profiles." + key->text;
        loading.keys.mapping(*node, profile_keys(), reader, path);
        ProfileConfig profile;
        profile.name = key->text;
        if (trimmed(profile.name).empty()) {
            loading.report.error(key->mark, "profiles: profile names cannot be empty");
        }
        if (const Node* text = node->find("description")) {
            profile.description = reader.text(*text, path + ".description").value_or("");
        }
        const Node* pins = node->find("pins");
        if (pins != nullptr && !pins->is_map() && !pins->is_null()) {
            reader.type_error(*pins, path + ".pins", "map[string]string (a mapping)");
        } else if (pins == nullptr || pins->entries.empty()) {
            loading.report.error(key->mark, path + ".pins must contain at least one entry");
        } else {
            for (const Entry& entry : in_order(*pins)) {
                read_pin(loading, reader, entry, profile);
            }
        }
        loading.config.profiles.push_back(std::move(profile));
    }
}

}  // namespace corral::load
