// `filters:` of models and peers: what is taken out of requests and put into them.
#include "core/load/json_value.hpp"
#include "core/load/loading.hpp"
#include "core/load/param_path.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace corral::load {
namespace {

constexpr std::string_view map_type = "map[string]interface {} (a mapping)";

class FilterReader {
public:
    FilterReader(Reader& reader, const Node& filters, const std::string& path)
        : reader_(reader), node_(filters), path_(path) {}

    std::vector<std::string> strip_params() {
        const Node* node = node_.find("stripParams");
        auto text = node != nullptr ? reader_.text(*node, path_ + ".stripParams") : std::nullopt;
        if (const Node* old = node_.find("strip_params"); old != nullptr && !old->is_null()) {
            auto old_text = reader_.text(*old, path_ + ".strip_params");
            if (!text || text->empty()) {
                node = old;
                text = std::move(old_text);
            } else {
                reader_.report().warn(old->mark, reader_.place(path_ + ".strip_params") +
                                                     " is ignored, because there is stripParams");
            }
        }
        return text ? split(*text, node->mark) : std::vector<std::string>();
    }

    std::vector<ParamSetting> settings(const Node& node, const std::string& path) {
        std::vector<ParamSetting> out;
        if (node.is_null()) {
            return out;
        }
        if (!node.is_map()) {
            reader_.type_error(node, path, map_type);
            return out;
        }
        for (const Entry& entry : in_order(node)) {
            const std::string& name = entry.key->text;
            auto json = read_setting(reader_, *entry.value, path + "." + name);
            if (usable(name, entry.key->mark, path) && json) {
                out.push_back({name, std::move(*json)});
            }
        }
        return out;
    }

    std::vector<ParamsOfId> settings_by_id(const Node& node, std::vector<PlacedText>& ids) {
        const std::string path = path_ + ".setParamsByID";
        std::vector<ParamsOfId> out;
        if (!node.is_map() && !node.is_null()) {
            reader_.type_error(node, path, "map[string]map[string]interface {} (a mapping)");
        }
        std::unordered_map<std::string, std::string_view> written;  // as it is → as it was
        for (const auto& [key, value] : node.entries) {
            const auto id = reader_.key(*key, path);
            if (!id) {
                continue;
            }
            const auto [at, fresh] = written.emplace(*id, key->text);
            if (!fresh) {
                reader_.report().error(
                    key->mark, reader_.place(path) + ": keys \"" + std::string(at->second) +
                                   "\" and \"" + key->text + "\" resolve to the same value \"" +
                                   *id + "\"");
                continue;
            }
            ids.push_back({*id, key->mark});
            if (auto params = settings(*value, path + "." + *id); !params.empty()) {
                out.push_back({*id, std::move(params)});
            }
        }
        std::sort(out.begin(), out.end(),
                  [](const ParamsOfId& a, const ParamsOfId& b) { return a.id < b.id; });
        return out;
    }

private:
    /// The parts of a list with commas, each once, in order.
    std::vector<std::string> split(std::string_view text, Mark mark) {
        std::vector<std::string> out;
        for (std::size_t from = 0; from <= text.size();) {
            const auto comma = std::min(text.find(',', from), text.size());
            std::string name = trimmed(text.substr(from, comma - from));
            from = comma + 1;
            if (!name.empty() && usable(name, mark, path_ + ".stripParams")) {
                out.push_back(std::move(name));
            }
        }
        std::sort(out.begin(), out.end());
        out.erase(std::unique(out.begin(), out.end()), out.end());
        return out;
    }

    bool usable(const std::string& name, Mark mark, std::string_view path) {
        const std::string prefix = reader_.place(path) + ": ";
        if (is_protected_path(name)) {
            reader_.report().warn(mark,
                                  prefix + "`" + name + "` is protected: it stays as it is sent",
                                  "requests find their model by it; see useModelName");
            return false;
        }
        if (const auto mistake = param_path_mistake(name); !mistake.empty()) {
            reader_.report().warn(mark,
                                  prefix + "the path \"" + name + "\" is left out: " + mistake,
                                  "keys and indexes with dots between them: a.b, a.0, a.-1, a\\.b");
            return false;
        }
        return true;
    }

    Reader& reader_;
    const Node& node_;
    const std::string& path_;
};

}  // namespace

Filters read_filters(Reader& reader, const Node& filters, const std::string& path,
                     std::vector<PlacedText>& ids) {
    Filters out;
    if (!filters.is_map()) {
        return out;  // the check of keys has reported it
    }
    FilterReader parts(reader, filters, path);
    out.strip_params = parts.strip_params();
    if (const Node* node = filters.find("setParams")) {
        out.set_params = parts.settings(*node, path + ".setParams");
    }
    if (const Node* node = filters.find("setParamsByID")) {
        out.set_params_by_id = parts.settings_by_id(*node, ids);
    }
    return out;
}

}  // namespace corral::load
