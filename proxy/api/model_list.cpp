#include "proxy/api/model_list.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace corral::api {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& document) {
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n\v\f";
    const auto begin = std::min(text.find_first_not_of(space), text.size());
    const auto end = text.find_last_not_of(space);
    return end == std::string_view::npos ? std::string_view{} : text.substr(begin, end + 1 - begin);
}

bool has(const std::vector<std::string>& list, std::string_view what) {
    return std::find(list.begin(), list.end(), what) != list.end();
}

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) {
        out += (out.empty() ? "" : "+") + part;
    }
    return out;
}

/// Nearly every name is its own JSON.
bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

std::string json_of(std::string_view text) {
    return is_plain(text) ? '"' + std::string(text) + '"' : dump(Json(text));
}

std::string json_of(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) {
        out += (out.size() > 1 ? "," : "") + json_of(text);
    }
    return out + "]";
}

/// Members of a JSON object as text, `"a":1,"b":2`: ten thousand records are written at once, and
/// building a document for each costs more than all the rest.
class Members {
public:
    void add(std::string_view key, std::string_view json) {
        text_ += text_.empty() ? "\"" : ",\"";
        text_.append(key).append("\":").append(json);
    }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
    [[nodiscard]] std::string object() const { return "{" + text_ + "}"; }

private:
    std::string text_;
};

/// What a record says beyond what all records say.
struct Record {
    std::string_view id;
    std::string_view name;
    std::string_view description;
    const Capabilities* capabilities = nullptr;
    std::string_view metadata;  ///< a JSON object; empty: none
    Members about;              ///< how Corral came by this name, for meta.llamaswap
    bool loaded = false;
};

/// True when the metadata may have a key that is spoken for; the word may also stand deeper in it.
bool may_clash(std::string_view metadata) {
    constexpr std::array<std::string_view, 7> said_of_names{
        "\"type\"",    "\"aliases\"",   "\"modelID\"", "\"strategy\"",
        "\"targets\"", "\"spillover\"", "\"peerID\""};
    constexpr std::array<std::string_view, 4> said_of_abilities{
        "\"architecture\"", "\"capabilities\"", "\"supported_parameters\"", "\"context_length\""};
    const auto stands = [&](std::string_view key) {
        return metadata.find(key) != std::string_view::npos;
    };
    return std::any_of(said_of_names.begin(), said_of_names.end(), stands) ||
           std::any_of(said_of_abilities.begin(), said_of_abilities.end(), stands);
}

/// The config's own words first; what Corral says of the name goes before them, and so do fields
/// that the capabilities have filled already.
std::string llamaswap_meta(const Record& record) {
    std::string about = record.about.object();
    if (record.metadata.size() <= 2) {
        return about;
    }
    if (!may_clash(record.metadata)) {  // as nearly always: both are put side by side
        return std::string(record.metadata.substr(0, record.metadata.size() - 1)) + "," +
               about.substr(1);
    }
    auto out = Json::parse(record.metadata, nullptr, false);
    if (!out.is_object()) {
        return about;
    }
    if (record.capabilities != nullptr && !record.capabilities->empty()) {
        for (const char* key :
             {"architecture", "capabilities", "supported_parameters", "context_length"}) {
            out.erase(key);
        }
    }
    out.update(Json::parse(about));
    return dump(out);
}

void add_capabilities(Members& out, const Capabilities& can) {
    Members architecture;
    if (!can.in.empty()) {
        architecture.add("input_modalities", json_of(can.in));
    }
    if (!can.out.empty()) {
        architecture.add("output_modalities", json_of(can.out));
    }
    if (!can.in.empty() && !can.out.empty()) {
        architecture.add("modality", json_of(joined(can.in) + "->" + joined(can.out)));
    }
    if (!architecture.empty()) {
        out.add("architecture", architecture.object());
    }
    const std::array<std::pair<std::string_view, bool>, 7> abilities{{
        {"vision", has(can.in, "image")},
        {"audio_transcriptions", has(can.in, "audio") && has(can.out, "text")},
        {"audio_speech", has(can.in, "text") && has(can.out, "audio")},
        {"image_generation", has(can.in, "text") && has(can.out, "image")},
        {"image_to_image", has(can.in, "image") && has(can.out, "image")},
        {"function_calling", can.tools},
        {"reranker", can.reranker},
    }};
    Members able;
    for (const auto& [name, holds] : abilities) {
        if (holds) {
            able.add(name, "true");
        }
    }
    if (!able.empty()) {
        out.add("capabilities", able.object());
    }
    if (can.tools) {
        out.add("supported_parameters", R"(["tools","tool_choice"])");
    }
    if (can.context > 0) {
        out.add("context_length", std::to_string(can.context));
    }
}

std::string text_of(const Record& record, std::chrono::seconds created) {
    Members out;
    out.add("id", json_of(record.id));
    out.add("object", "\"model\"");
    out.add("created", std::to_string(created.count()));
    out.add("owned_by", "\"corral\"");
    if (const auto name = trimmed(record.name); !name.empty()) {
        out.add("name", json_of(name));
    }
    if (const auto description = trimmed(record.description); !description.empty()) {
        out.add("description", json_of(description));
    }
    if (record.capabilities != nullptr) {
        add_capabilities(out, *record.capabilities);
    }
    Members meta;
    meta.add("llamaswap", llamaswap_meta(record));
    if (record.capabilities != nullptr && record.capabilities->context > 0) {
        meta.add("n_ctx", std::to_string(record.capabilities->context));
    }
    out.add("meta", meta.object());
    out.add("status", record.loaded ? R"({"value":"loaded"})" : R"({"value":"unloaded"})");
    return out.object();
}

/// A model under its id or one of its aliases.
std::string model_text(const ModelConfig& model, std::string_view id, const Listing& in) {
    Record record;
    record.id = id;
    record.name = model.name;
    record.description = model.description;
    record.capabilities = &model.capabilities;
    record.metadata = model.metadata;
    record.loaded = !is_at_rest(in.state_of(model.id));  // stopping ones hold memory still
    if (id != model.id.str()) {
        record.about.add("type", "\"alias\"");
        record.about.add("modelID", json_of(model.id.str()));
    } else {
        record.about.add("type", "\"model\"");
        if (!model.aliases.empty()) {
            record.about.add("aliases", json_of(model.aliases));
        }
    }
    return text_of(record, in.created);
}

std::string selector_text(const SelectorConfig& selector, const Listing& in) {
    constexpr std::array<std::string_view, 3> strategies{"warm", "pin", "spillover"};
    Record record;
    record.id = selector.id;
    record.name = selector.name;
    record.description = selector.description;
    record.metadata = selector.metadata;
    record.loaded = is_selector_loaded(selector, in.config, in.state_of);
    record.about.add("type", "\"selector\"");
    record.about.add("strategy",
                     json_of(strategies.at(static_cast<std::size_t>(selector.strategy))));
    record.about.add("targets", json_of(selector.targets));
    if (selector.strategy == SelectorStrategy::spillover) {
        record.about.add("spillover", std::to_string(selector.spillover));
    }
    return text_of(record, in.created);
}

/// Another server's model: whether it is loaded there is not known here.
std::string peer_text(const PeerConfig& peer, std::string_view model, std::string_view id,
                      const Listing& in) {
    const std::string name = peer.id + ": " + std::string(model);
    Record record;
    record.id = id;
    record.name = name;
    record.about.add("type", "\"peer\"");
    record.about.add("peerID", json_of(peer.id));
    return text_of(record, in.created);
}

std::string pin_text(const ProfilePin& pin, const Listing& in) {
    Record record;
    record.id = pin.name;
    record.about.add("type", "\"profile\"");
    return text_of(record, in.created);
}

bool names_something(const Config& config, std::string_view name) {
    return config.find(name) != nullptr || config.find_selector(name) != nullptr ||
           config.find_peer_model(name).peer != nullptr;
}

/// Records with their ids, to be sorted.
using Shown = std::vector<std::pair<std::string, std::string>>;

void show_model(Shown& shown, const ModelConfig& model, const Listing& in) {
    if (model.unlisted) {
        return;
    }
    shown.emplace_back(model.id.str(), model_text(model, model.id.str(), in));
    if (!in.config.include_aliases_in_list) {
        return;
    }
    for (const std::string& alias : model.aliases) {
        if (in.config.find_id(ModelId(alias)) == nullptr) {  // an id wins over an alias
            shown.emplace_back(alias, model_text(model, alias, in));
        }
    }
}

}  // namespace

std::string models_list(const Listing& in) {
    Shown shown;
    shown.reserve(in.config.models.size());
    for (const ModelConfig& model : in.config.models) {
        show_model(shown, model, in);
    }
    for (const PeerConfig& peer : in.config.peers) {
        for (const std::string& model : peer.models) {
            const std::string id = peer.id + "/" + model;
            shown.emplace_back(id, peer_text(peer, model, id, in));
        }
    }
    for (const SelectorConfig& selector : in.config.selectors) {
        if (!selector.unlisted) {
            shown.emplace_back(selector.id, selector_text(selector, in));
        }
    }
    if (in.profile != nullptr) {
        for (const ProfilePin& pin : in.profile->pins) {
            if (!pin.target.empty() && !names_something(in.config, pin.name)) {
                shown.emplace_back(pin.name, pin_text(pin, in));
            }
        }
    }
    std::stable_sort(shown.begin(), shown.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string out = R"({"data":[)";
    for (const auto& [id, text] : shown) {
        out += out.back() == '[' ? "" : ",";
        out += text;
    }
    return out + R"(],"object":"list"})";
}

std::optional<std::string> model_record(const Listing& in, std::string_view name) {
    if (const ModelConfig* model = in.config.find(name)) {
        return model_text(*model, name, in);
    }
    if (const SelectorConfig* selector = in.config.find_selector(name)) {
        return selector_text(*selector, in);
    }
    if (const auto [peer, model] = in.config.find_peer_model(name); peer != nullptr) {
        return peer_text(*peer, model, name, in);
    }
    if (in.profile != nullptr) {
        for (const ProfilePin& pin : in.profile->pins) {
            if (pin.name == name && !pin.target.empty()) {
                return pin_text(pin, in);
            }
        }
    }
    return std::nullopt;
}

}  // namespace corral::api
