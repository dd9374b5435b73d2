#include "proxy/http/failure_json.hpp"

#include "proxy/http/error_body.hpp"

#include <nlohmann/json.hpp>

#include <string_view>
#include <utility>

namespace corral::http {

nlohmann::ordered_json failure_json(const Failure& failure) {
    nlohmann::ordered_json lines = nlohmann::ordered_json::array();
    for (std::string_view rest = failure.last_lines; !rest.empty();) {
        const auto end = rest.find('\n');
        lines.push_back(safe_text(rest.substr(0, end)));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    nlohmann::ordered_json out{{"class", failure_class_name(failure.kind)},
                               {"status", safe_text(failure.status)},
                               {"last_lines", std::move(lines)},
                               {"hint", safe_text(failure.hint)}};
    if (failure.retry_after > std::chrono::seconds::zero()) {
        out["retry_after"] = failure.retry_after.count();
    }
    return out;
}

}  // namespace corral::http
