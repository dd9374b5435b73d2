// `discovery:`, what scans go by; the keys are in keys_of_discovery.cpp.
#include "core/load/loading.hpp"

#include <algorithm>
#include <utility>

namespace corral::load {
namespace {

using std::chrono::seconds;

/// Reads one mapping below `discovery:`.
class DiscoveryReader {
public:
    explicit DiscoveryReader(Loading& loading) : loading_(loading), reader_(loading.reader()) {}

    void read(const Node& node) {
        DiscoveryConfig& config = loading_.config.discovery;
        config.directories = texts(node, "directories", "discovery.directories");
        config.engine = text(node, "engine", "discovery.engine");
        config.ttl = time(node, "ttl", "discovery.ttl").value_or(config.ttl);
        config.naming = static_cast<NamingRule>(word(node, "naming"));
        config.exclusive_group = word(node, "group") == 0;
        config.watch = flag(node, "watch", "discovery.watch", false);
        if (const Node* aliases = node.find("aliases"); aliases != nullptr && aliases->is_map()) {
            read_aliases(*aliases, config);
        }
        if (const Node* list = node.find("overrides"); list != nullptr && list->is_map()) {
            for (const Entry& entry : list->entries) {
                read_override(entry, config);
            }
        }
    }

private:
    void read_aliases(const Node& node, DiscoveryConfig& config) {
        config.openai_aliases = flag(node, "openai", "discovery.aliases.openai", true);
        const Node* rules = node.find("rules");
        if (rules == nullptr || rules->is_null()) {
            return;
        }
        if (!rules->is_map()) {
            reader_.type_error(*rules, "discovery.aliases.rules", "a mapping");
            return;
        }
        for (const Entry& entry : in_order(*rules)) {
            const auto pattern =
                reader_.text(*entry.value, "discovery.aliases.rules." + entry.key->text);
            if (pattern && !pattern->empty()) {
                config.alias_rules.push_back({entry.key->text, *pattern});
            }
        }
    }

    void read_override(const Entry& entry, DiscoveryConfig& config) {
        const std::string path = "discovery.overrides." + entry.key->text;
        const Node& node = *entry.value;
        if (node.is_null()) {
            return;
        }
        if (!node.is_map()) {
            reader_.type_error(node, path, "a mapping");
            return;
        }
        const Key* overrides = find_key(discovery_keys(), "overrides");
        loading_.keys.mapping(node, overrides->members(), reader_, path);
        DiscoveryOverride out;
        out.pattern = entry.key->text;
        out.skip = flag(node, "skip", path + ".skip", false);
        out.ttl = time(node, "ttl", path + ".ttl");
        out.context = number(node, *find_key(overrides->members(), "ctx"), path + ".ctx");
        out.threads = number(node, *find_key(overrides->members(), "threads"), path + ".threads");
        out.gpu_layers =
            number(node, *find_key(overrides->members(), "gpuLayers"), path + ".gpuLayers");
        out.arguments = texts(node, "args", path + ".args");
        out.name = text(node, "name", path + ".name");
        config.overrides.push_back(std::move(out));
    }

    std::string text(const Node& node, std::string_view key, const std::string& path) {
        const Node* value = node.find(key);
        return value != nullptr ? reader_.text(*value, path).value_or("") : std::string();
    }

    std::vector<std::string> texts(const Node& node, std::string_view key,
                                   const std::string& path) {
        std::vector<std::string> out;
        const Node* value = node.find(key);
        const auto list = value != nullptr ? reader_.texts(*value, path) : std::nullopt;
        for (const PlacedText& item : list.value_or(std::vector<PlacedText>())) {
            out.push_back(item.text);
        }
        return out;
    }

    bool flag(const Node& node, std::string_view key, const std::string& path, bool otherwise) {
        const Node* value = node.find(key);
        return value != nullptr ? reader_.boolean(*value, path).value_or(otherwise) : otherwise;
    }

    std::optional<seconds> time(const Node& node, std::string_view key, const std::string& path) {
        const Node* value = node.find(key);
        const auto number = value != nullptr ? reader_.integer(*value, path) : std::nullopt;
        if (!number) {
            return std::nullopt;
        }
        if (*number < 0) {
            loading_.report.error(value->mark, path + " must be >= 0", "0: never unloaded");
            return std::nullopt;
        }
        return capped_seconds(*number, value->mark, path, loading_.report);
    }

    std::optional<std::uint64_t> number(const Node& node, const Key& key, const std::string& path) {
        const Node* value = node.find(key.name);
        const auto number = value != nullptr ? reader_.integer(*value, path) : std::nullopt;
        if (!number) {
            return std::nullopt;
        }
        if (*number < key.traits.least || *number > key.traits.most) {
            loading_.report.error(value->mark,
                                  path + " is out of range: " + std::to_string(*number));
            return std::nullopt;
        }
        return static_cast<std::uint64_t>(*number);
    }

    /// The place of a word in the table; 0, the default, when it is missing or wrong.
    std::size_t word(const Node& node, std::string_view name) {
        const Key* key = find_key(discovery_keys(), name);
        const Node* value = node.find(name);
        const std::string path = "discovery." + std::string(name);
        const auto text = value != nullptr ? reader_.text(*value, path) : std::nullopt;
        if (!text) {
            return 0;
        }
        const auto words = key->traits.words;
        const auto at = std::find(words.begin(), words.end(), *text);
        if (at == words.end()) {
            std::string list;
            for (const std::string_view known : words) {
                list += (list.empty() ? "one of " : ", ") + std::string(known);
            }
            loading_.report.error(value->mark, "unknown " + path + " \"" + *text + "\"", list);
            return 0;
        }
        return static_cast<std::size_t>(at - words.begin());
    }

    Loading& loading_;
    Reader reader_;
};

}  // namespace

void read_discovery(Loading& loading) {
    const Node* node = loading.root.find("discovery");
    if (node != nullptr && node->is_map()) {
        DiscoveryReader(loading).read(*node);
    }
}

}  // namespace corral::load
