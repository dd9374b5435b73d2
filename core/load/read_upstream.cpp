// upstream.ignorePaths: which paths below /upstream load no model.
#include "core/load/loading.hpp"
#include "core/path_patterns.hpp"

#include <utility>

namespace corral::load {

void read_upstream(Loading& loading) {
    Reader reader = loading.reader();
    const Node* node = node_at(loading.root, {"upstream", "ignorePaths"});
    const auto patterns =
        node != nullptr ? reader.texts(*node, "upstream.ignorePaths") : std::nullopt;
    for (const auto& [text, mark] : patterns.value_or(std::vector<PlacedText>())) {
        if (const auto mistake = path_pattern_mistake(text); !mistake.empty()) {
            loading.report.error(mark, "upstream.ignorePaths: invalid regular expression \"" +
                                           text + "\": " + mistake);
        } else {
            loading.config.ignore_paths.push_back(text);
        }
    }
    if (loading.config.ignore_paths.empty()) {
        loading.config.ignore_paths = default_ignore_paths();
    }
}

}  // namespace corral::load
