// routing.scheduler: who goes first when requests wait.
#include "core/load/loading.hpp"

#include <optional>
#include <unordered_set>

namespace corral::load {
namespace {

constexpr const char* priority_path = "routing.scheduler.settings.fifo.priority";

/// Gives a model the rank that one entry says.
void set_priority(Loading& loading, Reader& reader, const Entry& entry, const ModelId& id) {
    const auto rank = reader.integer(*entry.value, priority_path + ("." + entry.key->text));
    if (ModelConfig* model = loading.model(id)) {
        model->priority = rank.value_or(0);
    }
}

/// llama-swap takes an alias here and gives it no effect; here it means its model.
void set_alias_priority(Loading& loading, Reader& reader, const Entry& entry,
                        std::unordered_set<std::string>& ranked) {
    const std::string& name = entry.key->text;
    const ModelId id = loading.resolve(name);
    if (id.empty()) {
        loading.report.error(
            entry.key->mark,
            std::string(priority_path) + " references unknown model \"" + name + "\"",
            loading.nearest_model(name));
        return;
    }
    const std::string what =
        std::string(priority_path) + ": " + name + " is an alias of " + id.str();
    if (ranked.insert(id.str()).second) {
        set_priority(loading, reader, entry, id);
        loading.report.warn(entry.key->mark, what + ", which is used",
                            "write the name of the model: llama-swap ignores an alias here");
    } else {
        loading.report.warn(entry.key->mark, what + ", which has a priority: it is ignored");
    }
}

}  // namespace

void read_scheduler(Loading& loading) {
    Reader reader = loading.reader();
    const Node* use = node_at(loading.root, {"routing", "scheduler", "use"});
    const auto name = use != nullptr ? reader.text(*use, "routing.scheduler.use") : std::nullopt;
    if (name && !name->empty() && *name != "fifo") {
        loading.report.error(
            use->mark, "routing.scheduler.use: unknown scheduler \"" + *name + "\" (valid: fifo)");
    }
    const Node* priority =
        node_at(loading.root, {"routing", "scheduler", "settings", "fifo", "priority"});
    if (priority == nullptr || priority->is_null()) {
        return;
    }
    if (!priority->is_map()) {
        reader.type_error(*priority, priority_path, "map[string]int (a mapping)");
        return;
    }
    // Ids first: what a model itself says counts, whatever an alias says.
    std::unordered_set<std::string> ranked;
    for (const Entry& entry : priority->entries) {
        if (const ModelId id(entry.key->text); loading.model(id) != nullptr) {
            ranked.insert(id.str());
            set_priority(loading, reader, entry, id);
        }
    }
    for (const Entry& entry : priority->entries) {
        if (loading.model(ModelId(entry.key->text)) == nullptr) {
            set_alias_priority(loading, reader, entry, ranked);
        }
    }
}

}  // namespace corral::load
