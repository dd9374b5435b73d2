#include "core/load/param_path.hpp"

#include <cstddef>
#include <vector>

namespace corral::load {
namespace {

constexpr std::size_t steps_max = 64;

/// The keys of a path, and the first character that means more than one place (0: none).
struct Steps {
    std::vector<std::string> keys;
    char special = 0;
};

Steps split(std::string_view path) {
    constexpr std::string_view specials = "*?#|@";
    Steps out;
    std::string key;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '.') {
            out.keys.push_back(std::move(key));
            key.clear();
        } else if (path[i] == '\\' && i + 1 < path.size()) {
            key += path[++i];
        } else if (path[i] != '\\') {
            if (out.special == 0 && specials.find(path[i]) != std::string_view::npos) {
                out.special = path[i];
            }
            key += path[i];
        }
    }
    out.keys.push_back(std::move(key));
    return out;
}

/// A colon before a key says that it is no index.
std::string_view without_colon(std::string_view key) {
    return key.starts_with(':') ? key.substr(1) : key;
}

}  // namespace

std::string param_path_mistake(std::string_view path) {
    if (path.empty()) {
        return "it is empty";
    }
    const Steps steps = split(path);
    if (steps.special != 0) {
        return std::string("`") + steps.special +
               "` does not name one place; put a backslash before it if it is part of the name";
    }
    for (const std::string& key : steps.keys) {
        if (without_colon(key).empty()) {
            return "a part of it is empty";
        }
    }
    return steps.keys.size() > steps_max ? "it has more than 64 parts" : "";
}

bool is_protected_path(std::string_view path) {
    return without_colon(split(path).keys.front()) == "model";
}

}  // namespace corral::load
