// Groups, at the top level as llama-swap's older files have them or below routing.router, and the
// group "(default)" with the models that are in none.
#include "core/load/loading.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace corral::load {
namespace {

constexpr std::string_view default_group = "(default)";

bool is_set(const Node* node) {
    return node != nullptr && !node->is_null();
}

bool has_entries(const Node* node) {
    return node != nullptr && !node->entries.empty();
}

/// The mapping of groups that counts, and the path that leads to it; nullptr: none.
std::pair<const Node*, std::string> find_groups(Loading& loading) {
    const Node* legacy = loading.root.find("groups");
    const Node* legacy_matrix = loading.root.find("matrix");
    const Node* use = node_at(loading.root, {"routing", "router", "use"});
    const Node* groups = node_at(loading.root, {"routing", "router", "settings", "groups"});
    const Node* matrix = node_at(loading.root, {"routing", "router", "settings", "matrix"});
    Reader reader = loading.reader();
    const auto router =
        use != nullptr ? reader.text(*use, "routing.router.use").value_or("") : std::string();

    const bool top_level = is_set(legacy_matrix) || has_entries(legacy);
    if (top_level && (!router.empty() || is_set(matrix) || has_entries(groups))) {
        const Node* old = has_entries(legacy) ? legacy : legacy_matrix;
        loading.report.error(old->mark,
                             "config uses both the legacy top-level 'matrix'/'groups' keys and "
                             "the new 'routing.router' block; please migrate the top-level keys "
                             "into 'routing.router'");
        return {nullptr, ""};
    }
    if (top_level) {
        if (is_set(legacy_matrix) && has_entries(legacy)) {
            loading.report.error(legacy->mark, "config cannot use both 'groups' and 'matrix'");
        }
        if (is_set(legacy_matrix)) {
            loading.config.router = RouterKind::matrix;
        }
        return {legacy, "groups"};
    }
    if (router == "matrix") {
        loading.config.router = RouterKind::matrix;
        if (!is_set(matrix)) {
            loading.report.error(use->mark,
                                 "routing.router.use is 'matrix' but "
                                 "routing.router.settings.matrix is not set");
        }
        return {nullptr, ""};
    }
    if (!router.empty() && router != "group") {
        loading.report.error(use->mark, "routing.router.use: unknown router \"" + router +
                                            "\" (valid: group, matrix)");
    } else if (router.empty() && is_set(matrix)) {
        loading.report.warn(matrix->mark, "routing.router.use is not set: the matrix is not used",
                            "write `use: matrix`, or `use: group` to keep it for later");
    }
    return {groups, "routing.router.settings.groups"};
}

/// A member as it is written, with the place in config.groups that it is for.
struct Member {
    std::size_t group;
    PlacedText name;
};

class GroupReader {
public:
    explicit GroupReader(Loading& loading) : loading_(loading), reader_(loading.reader()) {}

    void read(const Node& groups, const std::string& path) {
        for (const Entry& entry : groups.entries) {
            read_group(entry, path + "." + entry.key->text);
        }
        // Ids first: a model belongs to the group that names it, whatever an alias says.
        for (const Member& member : members_) {
            if (loading_.config.find_id(ModelId(member.name.text)) != nullptr) {
                add(member, ModelId(member.name.text));
            }
        }
        for (const Member& member : members_) {
            if (loading_.config.find_id(ModelId(member.name.text)) == nullptr) {
                add_alias(member);
            }
        }
    }

    /// Every model that no group took, in the order of their ids.
    void add_default_group() {
        GroupConfig rest;
        rest.id = default_group;
        for (const ModelConfig& model : loading_.config.models) {
            if (!group_of_.contains(model.id.str())) {
                rest.members.push_back(model.id);
            }
        }
        loading_.config.groups.push_back(std::move(rest));
    }

private:
    void read_group(const Entry& entry, const std::string& path) {
        const Node& node = *entry.value;
        if (entry.key->text == default_group) {
            loading_.report.warn(entry.key->mark,
                                 "the group (default) is made of the models in no other group: "
                                 "what is written here is ignored");
            return;
        }
        if (!node.is_map() && !node.is_null()) {
            reader_.type_error(node, path, "a mapping");
            return;
        }
        loading_.keys.mapping(node, group_keys(), reader_, path);
        GroupConfig group;
        group.id = entry.key->text;
        const auto flag = [&](std::string_view key, bool& into) {
            if (const Node* value = node.find(key)) {
                into = reader_.boolean(*value, path + "." + std::string(key)).value_or(into);
            }
        };
        flag("swap", group.swap);
        flag("exclusive", group.exclusive);
        flag("persistent", group.persistent);
        if (const Node* members = node.find("members")) {
            if (const auto names = reader_.texts(*members, path + ".members")) {
                for (const PlacedText& name : *names) {
                    members_.push_back({loading_.config.groups.size(), name});
                }
            }
        }
        loading_.config.groups.push_back(std::move(group));
    }

    void add(const Member& member, const ModelId& id) {
        GroupConfig& group = loading_.config.groups[member.group];
        const auto [at, fresh] = group_of_.emplace(id.str(), member.group);
        if (fresh) {
            group.members.push_back(id);
        } else if (at->second == member.group) {
            loading_.report.error(member.name.mark, "duplicate model member " + id.str() +
                                                        " found in group: " + group.id);
        } else {
            loading_.report.error(member.name.mark,
                                  "model member " + id.str() + " is used in multiple groups: " +
                                      loading_.config.groups[at->second].id + " and " + group.id);
        }
    }

    /// llama-swap takes an alias and gives it no effect; here it means its model.
    void add_alias(const Member& member) {
        GroupConfig& group = loading_.config.groups[member.group];
        const ModelId id = loading_.resolve(member.name.text);
        if (id.empty()) {
            unknown(member, group);
            return;
        }
        const auto [at, fresh] = group_of_.emplace(id.str(), member.group);
        const std::string what =
            "group " + group.id + ": member " + member.name.text + " is an alias of " + id.str();
        if (fresh) {
            group.members.push_back(id);
            loading_.report.warn(member.name.mark, what + ", which is used",
                                 "write the name of the model: llama-swap ignores an alias here");
        } else {
            loading_.report.warn(member.name.mark, what + ", which is already in group " +
                                                       loading_.config.groups[at->second].id +
                                                       ": it is ignored");
        }
    }

    void unknown(const Member& member, const GroupConfig& group) {
        loading_.report.error(
            member.name.mark,
            "group " + group.id + ": no model config for \"" + member.name.text + "\"",
            loading_.nearest_model(member.name.text));
    }

    Loading& loading_;
    Reader reader_;
    std::vector<Member> members_;
    std::unordered_map<std::string, std::size_t> group_of_;
};

}  // namespace

void read_groups(Loading& loading) {
    GroupReader reader(loading);
    const auto [groups, path] = find_groups(loading);
    if (groups != nullptr && groups->is_map()) {
        reader.read(*groups, path);
    }
    reader.add_default_group();
}

}  // namespace corral::load
