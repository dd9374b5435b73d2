// All models: their order, ids, aliases and ports.
#include "core/load/loading.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace corral::load {
namespace {

bool check_id(Loading& loading, const Node& key) {
    if (key.text.empty()) {
        loading.report.warn(key.mark, "a model without a name cannot be asked for: it is ignored");
        return false;
    }
    const bool control = std::any_of(key.text.begin(), key.text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (control) {
        loading.report.warn(key.mark, "the name of this model holds control characters");
    }
    return true;
}

void add_alias(Loading& loading, const WrittenName& alias) {
    ModelConfig& model = loading.config.models[alias.model];
    const auto& [text, mark] = alias.name;
    if (text.empty()) {
        loading.report.warn(mark, "model " + model.id.str() + ": an empty alias is ignored");
        return;
    }
    const auto [at, fresh] = loading.aliases.emplace(text, model.id.str());
    if (!fresh) {
        loading.report.error(mark, "duplicate alias " + text + " found in model: " + model.id.str(),
                             "it is already an alias of " + at->second);
        return;
    }
    model.aliases.push_back(text);
    if (loading.model(ModelId(text)) != nullptr) {
        loading.report.warn(mark, "alias " + text + " of model " + model.id.str() +
                                      " is also the name of a model: the model of that name "
                                      "answers");
    }
}

/// A key of setParamsByID is an alias, unless it is the model's own id.
void add_requested_id(Loading& loading, const WrittenName& requested) {
    ModelConfig& model = loading.config.models[requested.model];
    const auto& [text, mark] = requested.name;
    const std::string& id = model.id.str();
    if (text == id) {
        return;
    }
    if (text.empty()) {
        loading.report.warn(
            mark, "model " + id + " filters.setParamsByID: an empty name is no request's");
        return;
    }
    if (loading.model(ModelId(text)) != nullptr) {
        loading.report.error(mark, "model " + id + " filters.setParamsByID: key '" + text +
                                       "' conflicts with an existing model ID");
        return;
    }
    const auto [at, fresh] = loading.aliases.emplace(text, id);
    if (fresh) {
        model.aliases.push_back(text);
    } else if (at->second != id) {
        loading.report.error(mark, "duplicate alias '" + text + "' in model " + id +
                                       " filters.setParamsByID, already used by model " +
                                       at->second);
    }
}

}  // namespace

std::uint16_t take_port(Loading& loading, Mark mark) {
    constexpr std::uint32_t last = 65535;
    if (loading.next_port == 0) {
        loading.next_port = loading.config.start_port;
    }
    if (loading.next_port > last) {
        if (!loading.ports_used_up) {
            loading.report.warn(mark, "more models than ports from startPort to 65535",
                                "the numbers start again at startPort");
        }
        loading.ports_used_up = true;
        loading.next_port = loading.config.start_port;
    }
    return static_cast<std::uint16_t>(loading.next_port++);
}

void read_models(Loading& loading) {
    const Node* models = loading.root.find("models");
    if (models == nullptr || !models->is_map()) {
        return;  // the check of keys has reported it
    }
    // Models are read in the order of their ids, because ports are given in it.
    for (const Entry& entry : in_order(*models)) {
        const std::string& id = entry.key->text;
        if (!check_id(loading, *entry.key)) {
            continue;
        }
        if (!entry.value->is_map()) {
            const std::string what = entry.value->is_sequence() ? "!!seq" : "!!str ``";
            loading.report.error(
                entry.value->mark,
                "model " + id + ": cannot unmarshal " + what + " into config.modelMacroConfig",
                "a model is a mapping with at least a cmd");
            continue;
        }
        loading.config.models.push_back(read_model(loading, id, *entry.value));
    }
    for (const WrittenName& alias : loading.written_aliases) {
        add_alias(loading, alias);
    }
    for (const WrittenName& requested : loading.requested_ids) {
        add_requested_id(loading, requested);
    }
    check_fixed_ports(loading, *models);
}

}  // namespace corral::load
