// Peers, and the names by which their models can be asked for.
#include "core/endpoint.hpp"
#include "core/load/loading.hpp"
#include "core/load/proxy_url.hpp"

#include <chrono>
#include <unordered_set>
#include <utility>

namespace corral::load {
namespace {

constexpr std::chrono::seconds response_header_default{60};

/// Reads one peer.
class PeerReader {
public:
    PeerReader(Loading& loading, const Entry& entry)
        : loading_(loading),
          reader_(loading.reader()),
          key_(*entry.key),
          node_(*entry.value),
          path_("peers." + entry.key->text) {
        peer_.id = entry.key->text;
        peer_.timeouts.response_header = response_header_default;
    }

    PeerConfig read() {
        hide_api_key();
        loading_.keys.mapping(node_, peer_keys(), reader_, path_);
        read_proxy();
        if (const Node* node = node_.find("apiKey")) {
            peer_.api_key = reader_.text(*node, path_ + ".apiKey").value_or("");
        }
        read_models();
        if (const Node* node = node_.find("filters")) {
            std::vector<PlacedText> ids;  // a peer's ids are no aliases
            peer_.filters = read_filters(reader_, *node, path_ + ".filters", ids);
        }
        if (const Node* node = node_.find("timeouts")) {
            peer_.timeouts =
                read_upstream_timeouts(reader_, *node, path_ + ".timeouts", peer_.timeouts);
        }
        return std::move(peer_);
    }

private:
    void hide_api_key() {
        for (const Entry& entry : node_.entries) {
            if (entry.key->text == "apiKey") {
                loading_.report.hide_line(entry.key->mark);
                loading_.report.hide_line(entry.value->mark);
            }
        }
    }

    void read_proxy() {
        const Node* node = node_.find("proxy");
        const auto text = node != nullptr ? reader_.text(*node, path_ + ".proxy") : std::nullopt;
        if (!text || text->empty()) {
            loading_.report.error(key_.mark, path_ + ": proxy is required");
            return;
        }
        peer_.proxy = *text;
        const auto endpoint = parse_endpoint(*text);
        if (endpoint) {
            return;
        }
        if (text->starts_with("unix:")) {  // Corral's own: no file of llama-swap has it
            loading_.report.error(node->mark, path_ + ".proxy: " + endpoint.error().detail);
        } else if (const auto refusal = url_refusal(*text); refusal.empty()) {
            loading_.report.warn(node->mark, path_ + ".proxy: " + endpoint.error().detail,
                                 "requests for the models of this peer will fail");
        } else if (node->from_environment) {
            loading_.report.error(node->mark, path_ + ": invalid peer proxy URL");
        } else {
            loading_.report.error(node->mark,
                                  path_ + ": invalid peer proxy URL (" + *text + "): " + refusal);
        }
    }

    void read_models() {
        const Node* node = node_.find("models");
        const auto names = node != nullptr ? reader_.texts(*node, path_ + ".models") : std::nullopt;
        if (!names || names->empty()) {
            loading_.report.error(key_.mark, path_ + ": peer models can not be empty");
            return;
        }
        std::unordered_set<std::string> seen;
        for (const auto& [text, mark] : *names) {
            if (text.empty() || !seen.insert(text).second) {
                loading_.report.warn(
                    mark, path_ + ".models: " + (text.empty() ? "an empty name" : text + " again") +
                              ": it is ignored");
            } else {
                peer_.models.push_back(text);
                add_names(text, mark);
            }
        }
    }

    /// `peer/model`, which nothing else may be called, and `model`, while one peer alone has it.
    void add_names(const std::string& model, Mark mark) {
        const std::string full = peer_.id + "/" + model;
        const std::string described = "peers." + peer_.id + " model \"" + model + "\"";
        PeerName& own = loading_.peer_names[full];
        if (own.is_full) {
            loading_.report.error(mark, "peer model name \"" + full + "\" is ambiguous between " +
                                            own.described + " and " + described);
        }
        own = {full, true, described};
        check_models(full, mark);
        const auto [bare, fresh] =
            loading_.peer_names.try_emplace(model, PeerName{full, false, ""});
        if (!fresh && !bare->second.is_full) {
            bare->second.full.clear();
        }
    }

    void check_models(const std::string& full, Mark mark) {
        constexpr const char* conflict = "\" conflicts with fully qualified peer model name";
        if (loading_.model(ModelId(full)) != nullptr) {
            loading_.report.error(mark, "model ID \"" + full + conflict);
        } else if (const auto alias = loading_.aliases.find(full);
                   alias != loading_.aliases.end()) {
            loading_.report.error(mark, "model " + alias->second + " alias \"" + full + conflict);
        }
    }

    Loading& loading_;
    Reader reader_;
    const Node& key_;
    const Node& node_;
    std::string path_;
    PeerConfig peer_;
};

}  // namespace

std::string Loading::resolve_peer(const std::string& name) const {
    const auto at = peer_names.find(name);
    return at != peer_names.end() ? at->second.full : std::string();
}

void read_peers(Loading& loading) {
    const Node* peers = loading.root.find("peers");
    if (peers == nullptr || !peers->is_map()) {
        return;  // the check of keys has reported it
    }
    for (const Entry& entry : in_order(*peers)) {
        if (entry.value->is_map() || entry.value->is_null()) {
            loading.config.peers.push_back(PeerReader(loading, entry).read());
        } else {
            Reader reader = loading.reader();
            reader.type_error(*entry.value, "peers." + entry.key->text, "a mapping");
        }
    }
}

}  // namespace corral::load
