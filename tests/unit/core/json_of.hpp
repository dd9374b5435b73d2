#pragma once
// A node of the loader's YAML tree as JSON, its scalars typed as yaml.v3 types them: for tests that
// compare values.
#include "core/load/yaml_scalar.hpp"
#include "core/load/yaml_tree.hpp"

#include <nlohmann/json.hpp>

#include <type_traits>
#include <variant>

namespace corral::test {

inline nlohmann::ordered_json json_of(const load::Node& node) {
    using Json = nlohmann::ordered_json;
    if (node.is_map()) {
        Json out = Json::object();
        for (const auto& [key, value] : node.entries) {
            out[key->text] = json_of(*value);
        }
        return out;
    }
    if (node.is_sequence()) {
        Json out = Json::array();
        for (const auto* item : node.items) {
            out.push_back(json_of(*item));
        }
        return out;
    }
    return std::visit(
        [](const auto& value) -> Json {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
                return nullptr;
            } else {
                return value;
            }
        },
        load::resolve(node));
}

}  // namespace corral::test
