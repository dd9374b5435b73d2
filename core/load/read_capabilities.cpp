// `capabilities:` of models: what they can do, for who lists them.
#include "core/load/loading.hpp"

#include <algorithm>
#include <array>

namespace corral::load {
namespace {

std::vector<std::string> read_modalities(Reader& reader, const Node& capabilities,
                                         std::string_view side) {
    constexpr std::array<std::string_view, 3> valid{"text", "audio", "image"};
    const std::string path = "capabilities." + std::string(side);
    const Node* node = capabilities.find(side);
    const auto names = node != nullptr ? reader.texts(*node, path) : std::nullopt;
    std::vector<std::string> out;
    for (const auto& [text, mark] : names.value_or(std::vector<PlacedText>())) {
        if (std::find(valid.begin(), valid.end(), text) == valid.end()) {
            reader.report().error(mark, reader.place("") + ": " + path + ": invalid modality \"" +
                                            text + "\", must be one of: text, audio, image");
        } else {
            out.push_back(text);
        }
    }
    return out;
}

}  // namespace

Capabilities read_capabilities(Reader& reader, const Node& capabilities) {
    Capabilities out;
    out.in = read_modalities(reader, capabilities, "in");
    out.out = read_modalities(reader, capabilities, "out");
    const auto flag = [&](std::string_view key, bool& into) {
        const Node* node = capabilities.find(key);
        if (node != nullptr) {
            into = reader.boolean(*node, "capabilities." + std::string(key)).value_or(false);
        }
    };
    flag("tools", out.tools);
    flag("reranker", out.reranker);
    const Node* node = capabilities.find("context");
    const auto context =
        node != nullptr ? reader.integer(*node, "capabilities.context") : std::nullopt;
    if (context && *context < 0) {
        reader.report().error(node->mark,
                              reader.place("") + ": capabilities.context: must be >= 0");
    }
    out.context = context.value_or(0);
    return out;
}

}  // namespace corral::load
