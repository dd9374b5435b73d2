// All models: their order, ids, aliases and ports.
#include "core/load/loading.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace corral::load {
namespace {

/// Models are read in the order of their ids, byte by byte, because ports are given in it.
std::vector<Entry> in_order(const Node& models) {
    std::vector<Entry> entries = models.entries;
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.key->text < b.key->text; });
    return entries;
}

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

/// The port for the model's ${PORT}, and the macro replaced where it is only shown to people.
class PortCounter {
public:
    explicit PortCounter(std::uint16_t start) : start_(start), next_(start) {}

    void assign(ModelConfig& model, Mark mark, Report& report) {
        if (model.cmd.find("${PORT}") == std::string::npos) {
            return;
        }
        if (next_ > 65535) {
            if (!wrapped_) {
                report.warn(mark, "more models than ports from startPort to 65535",
                            "the numbers start again at startPort");
            }
            wrapped_ = true;
            next_ = start_;
        }
        model.port = static_cast<std::uint16_t>(next_++);
        const std::string text = std::to_string(model.port);
        model.name = replace_macro(model.name, "PORT", text);
        model.description = replace_macro(model.description, "PORT", text);
        model.use_model_name = replace_macro(model.use_model_name, "PORT", text);
    }

private:
    std::uint32_t start_;
    std::uint32_t next_;
    bool wrapped_ = false;
};

/// An alias that is also an id: the id wins, as with llama-swap, and nobody is told there.
void warn_of_shadowed_aliases(Loading& loading, const Node& models) {
    for (const Entry& entry : models.entries) {
        const Node* aliases = entry.value->is_map() ? entry.value->find("aliases") : nullptr;
        if (aliases == nullptr) {
            continue;
        }
        for (const Node* alias : aliases->items) {
            if (loading.config.find_id(ModelId(alias->text)) != nullptr) {
                loading.report.warn(alias->mark,
                                    "alias " + alias->text + " of model " + entry.key->text +
                                        " is also the name of a model: the model of that name "
                                        "answers");
            }
        }
    }
}

}  // namespace

void add_alias(Loading& loading, ModelConfig& model, const std::string& alias, Mark mark) {
    if (alias.empty()) {
        loading.report.warn(mark, "model " + model.id.str() + ": an empty alias is ignored");
        return;
    }
    const auto [at, fresh] = loading.aliases.emplace(alias, model.id.str());
    if (!fresh) {
        loading.report.error(mark,
                             "duplicate alias " + alias + " found in model: " + model.id.str(),
                             "it is already an alias of " + at->second);
        return;
    }
    model.aliases.push_back(alias);
}

void read_models(Loading& loading) {
    const Node* models = loading.root.find("models");
    if (models == nullptr || !models->is_map()) {
        return;  // the check of keys has reported it
    }
    PortCounter ports(loading.config.start_port);
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
        ModelConfig model = read_model(loading, id, *entry.value);
        ports.assign(model, entry.key->mark, loading.report);
        loading.config.models.push_back(std::move(model));
    }
    warn_of_shadowed_aliases(loading, *models);
}

}  // namespace corral::load
