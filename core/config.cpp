#include "core/config.hpp"

#include <algorithm>

namespace corral {

const ModelConfig* Config::find_id(const ModelId& id) const noexcept {
    const auto at =
        std::lower_bound(models.begin(), models.end(), id,
                         [](const ModelConfig& m, const ModelId& i) { return m.id < i; });
    return at != models.end() && at->id == id ? &*at : nullptr;
}

const ModelConfig* Config::find(std::string_view wanted) const noexcept {
    const auto by_id = std::lower_bound(
        models.begin(), models.end(), wanted,
        [](const ModelConfig& m, std::string_view n) { return std::string_view(m.id.str()) < n; });
    if (by_id != models.end() && by_id->id.str() == wanted) {
        return &*by_id;
    }
    const auto by_alias = std::find_if(models.begin(), models.end(), [&](const ModelConfig& m) {
        return std::find(m.aliases.begin(), m.aliases.end(), wanted) != m.aliases.end();
    });
    return by_alias != models.end() ? &*by_alias : nullptr;
}

const SelectorConfig* Config::find_selector(std::string_view wanted) const noexcept {
    const auto at = std::find_if(selectors.begin(), selectors.end(),
                                 [&](const SelectorConfig& s) { return s.id == wanted; });
    return at != selectors.end() ? &*at : nullptr;
}

Config::PeerModel Config::find_peer_model(std::string_view name) const noexcept {
    PeerModel bare;
    std::size_t owners = 0;
    for (const PeerConfig& peer : peers) {
        for (const std::string& model : peer.models) {
            const bool full = name.size() == peer.id.size() + 1 + model.size() &&
                              name.starts_with(peer.id) && name[peer.id.size()] == '/' &&
                              name.ends_with(model);
            if (full) {
                return {&peer, model};
            }
            if (name == model) {
                bare = {&peer, model};
                ++owners;
            }
        }
    }
    return owners == 1 ? bare : PeerModel{};
}

std::string replace_macro(std::string_view text, std::string_view name, std::string_view value) {
    const std::string pattern = "${" + std::string(name) + "}";
    std::string out;
    std::size_t from = 0;
    for (std::size_t at = text.find(pattern); at != std::string_view::npos;
         at = text.find(pattern, from)) {
        out += text.substr(from, at - from);
        out += value;
        from = at + pattern.size();
    }
    out += text.substr(from);
    return out;
}

}  // namespace corral
