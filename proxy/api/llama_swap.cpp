#include "proxy/api/llama_swap.hpp"

#include "core/secrets.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string_view>
#include <utility>

namespace corral::api {
namespace {

using Json = nlohmann::json;

std::string dump(const Json& document) {
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string running_list(const Config& config, std::span<const ModelStatus> states) {
    Json running = Json::array();
    for (const auto& status : states) {
        const ModelConfig* model = config.find_id(status.id);
        if (model == nullptr || is_at_rest(status.state)) {
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

std::string version_document() {
    return dump({{"build_date", "unknown"}, {"commit", "unknown"}, {"version", CORRAL_VERSION}});
}

}  // namespace corral::api
