#include "proxy/http/filter_edits.hpp"

#include <string>
#include <utility>

namespace corral::http {
namespace {

bool is_protected(const JsonPath& path) {
    return path.front().key == "model";
}

void add_settings(std::vector<JsonEdit>& out, const std::vector<ParamSetting>& settings) {
    for (const auto& setting : settings) {
        auto path = parse_json_path(setting.path);
        if (path && !is_protected(*path)) {
            out.push_back({JsonEdit::Kind::set, std::move(*path), setting.json});
        }
    }
}

}  // namespace

Result<std::vector<JsonEdit>> filter_edits(const Filters& filters, std::string_view asked_for) {
    std::vector<JsonEdit> out;
    for (const auto& text : filters.strip_params) {
        auto path = parse_json_path(text);
        if (!path) {
            return Error(Errc::internal, Blame::internal,
                         "error stripping parameter " + text +
                             " from request: " + path.error().detail + " (filters.stripParams)");
        }
        if (!is_protected(*path)) {
            out.push_back({JsonEdit::Kind::remove, std::move(*path), {}});
        }
    }
    add_settings(out, filters.set_params);
    for (const auto& of_id : filters.set_params_by_id) {
        if (of_id.id == asked_for) {
            add_settings(out, of_id.settings);
        }
    }
    return out;
}

}  // namespace corral::http
