// A target has one normal form: clean paths stay clean, a redirect leads to a path that means the
// same, and nothing climbs out of its tree.

#include "proxy/http/target.hpp"

#include "proxy/api/route_table.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace corral;
using namespace corral::http;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

bool has_dot_segment(std::string_view path) {
    const std::string framed = std::string(path) + "/";
    return framed.find("/../") != std::string::npos || framed.find("/./") != std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto target = parse_target(text);
    static_cast<void>(query_value(text, "model"));
    if (const auto decoded = percent_decode(text)) {
        require(percent_decode(percent_encode_segment(*decoded)) == decoded);
    }
    if (!target || target->path == "*") {
        return 0;
    }
    require(target->path.starts_with('/') && target->path.find("//") == std::string::npos);
    require(!has_dot_segment(target->path) && target->path.find('\\') == std::string::npos);
    require(target->normal.find('\0') == std::string::npos);
    const auto again = parse_target(target->location());
    require(again && !again->redirect && again->normal == target->normal);
    require(again->path == target->path && again->query == target->query);
    for (const auto* method : {"GET", "POST", "PUT"}) {
        const auto raw = api::find_route(method, target->normal);
        const auto clean = api::find_route(method, again->normal);
        require(raw.route == clean.route && raw.rest == clean.rest);
    }
    if (!target->normal.starts_with("/upstream/")) {
        require(!has_dot_segment(target->normal));
        return 0;
    }
    const auto split = split_upstream(
        *target, [](std::string_view name) { return name == "m" || name == "org/m"; });
    if (split) {
        require(split->model == "m" || split->model == "org/m");
        require(target->path.ends_with(split->remainder));
        require(split->remainder.empty() == !split->redirect.empty());
    }
    return 0;
}
