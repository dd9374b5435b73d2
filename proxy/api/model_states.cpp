#include "proxy/api/model_states.hpp"

#include "proxy/http/error_body.hpp"
#include "proxy/http/failure_json.hpp"

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <utility>

namespace corral::api {
namespace {

using States = nlohmann::ordered_json;

States instant(const std::optional<std::chrono::system_clock::time_point>& when) {
    if (!when) {
        return nullptr;
    }
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(*when)));
}

States failure_document(const ModelStatus& status) {
    if (!status.failure) {
        return nullptr;
    }
    States out = http::failure_json(*status.failure);
    out["message"] = http::safe_text(status.last_failure);
    return out;
}

/// Whole seconds, so that who waits for them does not come too early.
States seconds_left(const std::optional<Duration>& left) {
    if (!left) {
        return nullptr;
    }
    return std::chrono::ceil<std::chrono::seconds>(*left).count();
}

}  // namespace

std::string model_states(const Config& config, std::span<const ModelStatus> states) {
    States models = States::array();
    for (const ModelStatus& status : states) {
        const ModelConfig* model = config.find_id(status.id);
        if (model == nullptr) {
            continue;
        }
        models.push_back({{"id", model->id.str()},
                          {"name", model->name},
                          {"state", process_state_name(status.state)},
                          {"since", instant(status.since)},
                          {"in_flight", status.in_flight},
                          {"waiting", status.waiting},
                          {"failures", status.failures},
                          {"retry_after", seconds_left(status.retry_in)},
                          {"failure", failure_document(status)}});
    }
    const States document{{"models", std::move(models)}};
    return document.dump(-1, ' ', false, States::error_handler_t::replace);
}

}  // namespace corral::api
