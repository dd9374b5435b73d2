#include "proxy/api/regenerate.hpp"

#include "proxy/http/answer.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace corral::api {

http::Answer regenerate_answer(const RegenerateReport& report, const http::RequestHead& request) {
    if (report.error) {
        return http::answer_of(*report.error, &request);
    }
    const ReloadConfig loaded = [&report] { return report.reload; };
    http::Answer answer = reload_answer(loaded, request);
    auto document = nlohmann::ordered_json::parse(answer.body, nullptr, false);
    auto changes = nlohmann::ordered_json::parse(report.changes, nullptr, false);
    if (document.is_object() && changes.is_object()) {
        document["scan"] = std::move(changes);
        answer.body = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    return answer;
}

}  // namespace corral::api
