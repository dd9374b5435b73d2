// Selectors: names that stand for one of several models, local ones and peers'.
#include "core/load/loading.hpp"
#include "core/matrix_solver.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace corral::load {
namespace {

constexpr std::array<std::string_view, 3> strategies{"warm", "pin", "spillover"};

/// The group that each model is in.
using Groups = std::unordered_map<std::string, const GroupConfig*>;

/// Reads one selector.
class SelectorReader {
public:
    SelectorReader(Loading& loading, const Groups& groups, const Entry& entry)
        : loading_(loading),
          groups_(groups),
          reader_(loading.reader()),
          key_(*entry.key),
          node_(*entry.value),
          path_("selectors." + entry.key->text) {
        selector_.id = entry.key->text;
    }

    SelectorConfig read() {
        loading_.keys.mapping(node_, selector_keys(), reader_, path_);
        check_id();
        read_strategy();
        read_targets();
        read_spillover();
        read_texts();
        if (strategy_ == SelectorStrategy::spillover) {
            check_spillover();
        }
        selector_.strategy = strategy_.value_or(SelectorStrategy::warm);
        return std::move(selector_);
    }

private:
    void error(Mark mark, const std::string& what, std::string hint = {}) {
        loading_.report.error(mark, path_ + what, std::move(hint));
    }

    void check_id() {
        const std::string& id = selector_.id;
        if (trimmed(id).empty()) {
            loading_.report.error(key_.mark, "selectors: selector names cannot be empty");
        } else if (loading_.model(ModelId(id)) != nullptr) {
            error(key_.mark, ": name conflicts with model ID \"" + id + "\"");
        } else if (loading_.aliases.contains(id)) {
            error(key_.mark, ": name conflicts with model alias \"" + id + "\"");
        }
        const auto peer = loading_.peer_names.find(id);
        if (peer != loading_.peer_names.end() && peer->second.is_full) {
            loading_.report.error(key_.mark, "selector ID \"" + id +
                                                 "\" conflicts with fully qualified peer model "
                                                 "name");
        }
    }

    void read_strategy() {
        const Node* node = node_.find("strategy");
        if (node == nullptr || node->is_null()) {
            error(key_.mark, ".strategy is required", "warm, pin or spillover");
            return;
        }
        const auto text = reader_.text(*node, path_ + ".strategy");
        if (!text) {
            return;
        }
        const auto at = std::find(strategies.begin(), strategies.end(), *text);
        if (text->empty()) {
            error(node->mark, ".strategy is required", "warm, pin or spillover");
        } else if (at == strategies.end()) {
            error(node->mark,
                  ".strategy: unknown strategy \"" + *text + "\" (valid: warm, pin, spillover)");
        } else {
            strategy_ = static_cast<SelectorStrategy>(at - strategies.begin());
        }
    }

    void read_targets() {
        const Node* node = node_.find("targets");
        const auto names =
            node != nullptr ? reader_.texts(*node, path_ + ".targets") : std::nullopt;
        if (node == nullptr || node->is_null() || (names && names->empty())) {
            error(key_.mark, ".targets must contain at least one entry");
            return;
        }
        for (std::size_t i = 0; names && i < names->size(); ++i) {
            read_target((*names)[i], ".targets[" + std::to_string(i) + "]");
        }
    }

    void read_target(const PlacedText& target, const std::string& place) {
        if (loading_.selector_ids.contains(target.text)) {
            error(target.mark, place + " references selector \"" + target.text +
                                   "\"; selector chaining is not supported");
            return;
        }
        const ModelId local = loading_.resolve(target.text);
        const std::string name = local.empty() ? loading_.resolve_peer(target.text) : local.str();
        if (name.empty()) {
            error(target.mark, place + " references unknown model \"" + target.text + "\"",
                  loading_.peer_names.contains(target.text)
                      ? "several peers have a model of this name: write peer/model"
                      : loading_.nearest_model(target.text));
            return;
        }
        if (local.empty() && strategy_ == SelectorStrategy::warm) {
            error(target.mark, place + " must resolve to a local model for strategy \"warm\"");
            return;
        }
        if (!local.empty()) {
            locals_.push_back(local);
        }
        if (!names_.insert(name).second && strategy_ == SelectorStrategy::spillover) {
            error(target.mark, ".targets contains duplicate resolved model \"" + name + "\"");
            return;
        }
        selector_.targets.push_back(target.text);  // an alias has parameters of its own
    }

    void read_spillover() {
        const Node* node = node_at(node_, {"settings", "spillover"});
        const auto value =
            node != nullptr ? reader_.integer(*node, path_ + ".settings.spillover") : std::nullopt;
        if (!value) {
            return;
        }
        if (*value >= 1) {
            selector_.spillover = *value;
        } else if (strategy_ == SelectorStrategy::spillover) {
            error(node->mark, ".settings.spillover must be >= 1");
        } else {
            loading_.report.warn(node->mark,
                                 path_ + ".settings.spillover must be >= 1; it has no effect here");
        }
    }

    void read_texts() {
        const auto text = [&](std::string_view key, std::string& into) {
            if (const Node* node = node_.find(key)) {
                into = reader_.text(*node, path_ + "." + std::string(key)).value_or("");
            }
        };
        text("name", selector_.name);
        text("description", selector_.description);
        if (const Node* node = node_.find("unlisted")) {
            selector_.unlisted = reader_.boolean(*node, path_ + ".unlisted").value_or(false);
        }
        if (const Node* node = node_.find("metadata")) {
            selector_.metadata = read_metadata(reader_, *node, path_ + ".metadata");
        }
    }

    /// Targets that push each other out would never share the load.
    void check_spillover() {
        if (locals_.size() < 2) {
            return;
        }
        if (loading_.config.router == RouterKind::matrix) {
            const MatrixConfig& matrix = loading_.config.matrix;  // without sets after a mistake
            if (!matrix.sets.empty() && !can_run_together(matrix, locals_)) {
                error(key_.mark, ".targets must all appear together in one expanded matrix set");
            }
            return;
        }
        const GroupConfig* group = groups_.at(locals_.front().str());
        const bool shared = std::all_of(locals_.begin(), locals_.end(), [&](const ModelId& id) {
            return groups_.at(id.str()) == group;
        });
        if (group->swap) {
            error(key_.mark, " spillover targets must share a group with swap: false",
                  "a group with `swap: false` whose members are these models");
        } else if (!shared) {
            error(key_.mark, " spillover targets must share one routing group");
        }
    }

    Loading& loading_;
    const Groups& groups_;
    Reader reader_;
    const Node& key_;
    const Node& node_;
    std::string path_;
    SelectorConfig selector_;
    std::optional<SelectorStrategy> strategy_;  ///< nullopt: a mistake
    std::vector<ModelId> locals_;               ///< the targets that are models of this config
    std::unordered_set<std::string> names_;     ///< all targets, resolved
};

}  // namespace

void read_selectors(Loading& loading) {
    const Node* selectors = loading.root.find("selectors");
    if (selectors == nullptr || !selectors->is_map()) {
        return;  // the check of keys has reported it
    }
    for (const Entry& entry : selectors->entries) {
        loading.selector_ids.insert(entry.key->text);
    }
    Groups groups;
    for (const GroupConfig& group : loading.config.groups) {
        for (const ModelId& member : group.members) {
            groups.emplace(member.str(), &group);
        }
    }
    for (const Entry& entry : in_order(*selectors)) {
        if (entry.value->is_map() || entry.value->is_null()) {
            loading.config.selectors.push_back(SelectorReader(loading, groups, entry).read());
        } else {
            Reader reader = loading.reader();
            reader.type_error(*entry.value, "selectors." + entry.key->text, "a mapping");
        }
    }
}

}  // namespace corral::load
