#include "proxy/api/llama_swap.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace corral::api {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 6> secret_flags{"--api-key", "--api_key", "--hf-token",
                                                       "-hft",      "--token",   "--password"};

std::string dump(const Json& document) {
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const ModelStatus* status_of_model(std::span<const ModelStatus> states, const ModelId& id) {
    const auto at = std::find_if(states.begin(), states.end(),
                                 [&](const ModelStatus& s) { return s.id == id; });
    return at != states.end() ? &*at : nullptr;
}

/// Starting and stopping processes hold memory, so they count as loaded.
bool is_running(const ModelStatus* status) {
    return status != nullptr &&
           (status->state == ProcessState::starting || status->state == ProcessState::ready ||
            status->state == ProcessState::stopping);
}

Json record(const ModelConfig& model, std::span<const ModelStatus> states, std::string_view id,
            std::chrono::seconds created) {
    const bool alias = id != model.id.str();
    Json meta{{"type", alias ? "alias" : "model"}};
    if (alias) {
        meta["modelID"] = model.id.str();
    } else if (!model.aliases.empty()) {
        meta["aliases"] = model.aliases;
    }
    Json out{{"id", id},
             {"object", "model"},
             {"created", created.count()},
             {"owned_by", "corral"},
             {"meta", {{"llamaswap", std::move(meta)}}},
             {"status",
              {{"value", is_running(status_of_model(states, model.id)) ? "loaded" : "unloaded"}}}};
    if (!model.name.empty()) {
        out["name"] = model.name;
    }
    if (!model.description.empty()) {
        out["description"] = model.description;
    }
    return out;
}

}  // namespace

std::string models_list(const Config& config, std::span<const ModelStatus> states,
                        std::chrono::seconds created) {
    std::vector<std::pair<std::string, const ModelConfig*>> shown;
    for (const auto& model : config.models) {
        if (model.unlisted) {
            continue;
        }
        shown.emplace_back(model.id.str(), &model);
        if (config.include_aliases_in_list) {
            for (const auto& alias : model.aliases) {
                shown.emplace_back(alias, &model);
            }
        }
    }
    std::sort(shown.begin(), shown.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    Json data = Json::array();
    for (const auto& [id, model] : shown) {
        data.push_back(record(*model, states, id, created));
    }
    return dump({{"data", std::move(data)}, {"object", "list"}});
}

std::optional<std::string> model_record(const Config& config, std::span<const ModelStatus> states,
                                        std::string_view name, std::chrono::seconds created) {
    const ModelConfig* model = config.find(name);
    if (model == nullptr) {
        return std::nullopt;
    }
    return dump(record(*model, states, name, created));
}

std::string running_list(const Config& config, std::span<const ModelStatus> states) {
    Json running = Json::array();
    for (const auto& status : states) {
        const ModelConfig* model = config.find_id(status.id);
        if (model == nullptr || !is_running(&status)) {
            continue;
        }
        const auto port = std::to_string(status.port);
        running.push_back({{"model", model->id.str()},
                           {"state", process_state_name(status.state)},
                           {"cmd", masked_command(replace_macro(model->cmd, "PORT", port))},
                           {"proxy", replace_macro(model->proxy, "PORT", port)},
                           {"ttl", model->ttl.count()},
                           {"name", model->name},
                           {"description", model->description}});
    }
    return dump({{"running", std::move(running)}});
}

std::string masked_command(std::string_view cmd) {
    std::string out(cmd);
    for (const auto flag : secret_flags) {
        for (auto at = out.find(flag); at != std::string::npos; at = out.find(flag, at + 1)) {
            auto value = at + flag.size();
            if (value >= out.size() || (out[value] != ' ' && out[value] != '=')) {
                continue;
            }
            value = out.find_first_not_of(" =", value);
            if (value == std::string::npos) {
                continue;
            }
            const auto end = std::min(out.find_first_of(" \t\r\n", value), out.size());
            out.replace(value, end - value, "***");
        }
    }
    return out;
}

}  // namespace corral::api
