#include "core/load/merge_trees.hpp"

#include "core/load/yaml_scalar.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace corral::load {
namespace {

/// Mappings whose keys name things: one that is in two files was split or copied by mistake.
constexpr std::array<std::string_view, 8> identity_maps{"models",
                                                        "groups",
                                                        "profiles",
                                                        "selectors",
                                                        "peers",
                                                        "matrix",
                                                        "routing.router.settings.groups",
                                                        "routing.router.settings.matrix"};

std::string_view kind_name(const Node& node) {
    return node.is_map() ? "mapping" : node.is_sequence() ? "list" : "scalar";
}

/// What a message may say of a key: a value of the environment is never printed.
std::string_view shown(const Node& key) {
    return key.from_environment ? std::string_view("(from the environment)") : key.text;
}

/// As the peer compares: the text as it is written, and the type that it has. `1` is not `"1"`.
bool equal(const Node& a, const Node& b) {
    return a.text == b.text && tag_name(resolve(a)) == tag_name(resolve(b));
}

class Merger {
public:
    Merger(Report& report, Tree& out) : report_(report), out_(out) {}

    /// All values that the files have for one path, none of them null, in the order of the files.
    /// Recursion is bounded by the depth that parse_yaml() allows.
    const Node& merge(const std::vector<const Node*>& values, const std::string& path) {
        const Node& first = *values.front();
        if (values.size() == 1) {
            return first;
        }
        if (std::find(identity_maps.begin(), identity_maps.end(), path) != identity_maps.end()) {
            return join_entries(values, path);
        }
        std::vector<const Node*> alike;
        for (const Node* value : values) {
            if (value->kind == first.kind) {
                alike.push_back(value);
                continue;
            }
            conflict(path, *value, first,
                     "incompatible YAML node kinds (" + std::string(kind_name(first)) + " vs " +
                         std::string(kind_name(*value)) + ") introduced by " + file(*value));
        }
        return first.is_map()        ? merge_entries(alike, path)
               : first.is_sequence() ? join_items(alike)
                                     : same_scalar(alike, path);
    }

private:
    void conflict(const std::string& path, const Node& value, const Node& first,
                  const std::string& what) {
        report_.error(value.mark, "conflict at \"" + path + "\": " + what,
                      "the other one is at " + report_.place(first.mark));
    }

    [[nodiscard]] const std::string& file(const Node& node) const {
        return report_.file_name(node.mark.file);
    }

    Node& make(const Node& first) {
        Node& node = out_.nodes.emplace_back();
        node.kind = first.kind;
        node.tag = first.tag;
        node.mark = first.mark;
        return node;
    }

    static void measure(Node& parent, const Node& child) {
        parent.weight += child.weight;
        parent.bytes += child.bytes;
        parent.height = std::max(parent.height, child.height + 1);
    }

    static void add(Node& map, const Node& key, const Node& value) {
        measure(map, key);
        measure(map, value);
        map.entries.push_back({&key, &value});
    }

    /// Mappings of settings: each key is merged by itself. A key stands where it stood first, for
    /// the order of macros has a meaning.
    const Node& merge_entries(const std::vector<const Node*>& maps, const std::string& path) {
        struct Key {
            const Node* key;
            std::vector<const Node*> values;
            const Node* null;  ///< what it is when no file says more
        };
        std::vector<Key> keys;
        std::unordered_map<std::string_view, std::size_t> index;
        for (const Node* map : maps) {
            for (const Entry& entry : map->entries) {
                const auto [at, fresh] = index.emplace(entry.key->text, keys.size());
                if (fresh) {
                    keys.push_back({entry.key, {}, nullptr});
                }
                Key& key = keys[at->second];
                if (entry.value->is_null()) {
                    key.null = entry.value;
                } else {
                    key.values.push_back(entry.value);
                }
            }
        }
        Node& merged = make(*maps.front());
        merged.entries.reserve(keys.size());
        for (const Key& key : keys) {
            const std::string below =
                (path.empty() ? "" : path + ".") + std::string(shown(*key.key));
            add(merged, *key.key, key.values.empty() ? *key.null : merge(key.values, below));
        }
        return merged;
    }

    /// Mappings of things with names: all of them, none twice.
    const Node& join_entries(const std::vector<const Node*>& maps, const std::string& path) {
        Node& merged = make(*maps.front());
        merged.kind = Node::Kind::map;
        const std::string name = path.substr(path.rfind('.') + 1);  // npos + 1 is 0
        std::unordered_map<std::string_view, const Node*> seen;
        for (const Node* map : maps) {
            if (!map->is_map()) {
                conflict(path, *map, map == maps.front() ? *maps.back() : *maps.front(),
                         "expected a mapping, introduced by " + file(*map));
            }
            for (const Entry& entry : map->entries) {
                const auto [at, fresh] = seen.emplace(entry.key->text, entry.key);
                if (fresh) {
                    add(merged, *entry.key, *entry.value);
                    continue;
                }
                report_.error(entry.key->mark,
                              "duplicate " + name + " \"" + std::string(shown(*entry.key)) +
                                  "\" found in " + file(*entry.key) +
                                  " (already defined in another config source)",
                              "the other one is at " + report_.place(at->second->mark));
            }
        }
        return merged;
    }

    const Node& join_items(const std::vector<const Node*>& lists) {
        Node& joined = make(*lists.front());
        for (const Node* list : lists) {
            for (const Node* item : list->items) {
                measure(joined, *item);
                joined.items.push_back(item);
            }
        }
        return joined;
    }

    const Node& same_scalar(const std::vector<const Node*>& scalars, const std::string& path) {
        const Node& first = *scalars.front();
        for (const Node* scalar : scalars) {
            if (!equal(*scalar, first)) {
                conflict(path, *scalar, first,
                         file(*scalar) + " sets a different value than a previous source");
            }
        }
        return first;
    }

    Report& report_;
    Tree& out_;
};

}  // namespace

Tree merge_trees(std::vector<Tree> trees, Report& report) {
    if (trees.size() == 1) {
        return std::move(trees.front());
    }
    Tree out;
    std::vector<const Node*> roots;
    for (const Tree& tree : trees) {
        if (tree.root->is_map()) {
            roots.push_back(tree.root);
        }
    }
    out.root = roots.empty() ? trees.front().root : &Merger(report, out).merge(roots, "");
    out.parts = std::move(trees);
    return out;
}

}  // namespace corral::load
