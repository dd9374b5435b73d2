// The keys of the top level, the macros and what is loaded at the start.
#include "core/listen_address.hpp"
#include "core/load/loading.hpp"
#include "core/nearest.hpp"
#include "core/quantity.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace corral::load {
namespace {

using std::chrono::seconds;

void read_health_check_timeout(Loading& loading, Reader& reader) {
    constexpr std::int64_t least = 15;  // llama-swap's
    const Node* node = loading.root.find("healthCheckTimeout");
    if (node == nullptr) {
        return;
    }
    if (const auto value = reader.integer(*node, "healthCheckTimeout")) {
        if (*value < least) {
            loading.report.warn(node->mark,
                                "healthCheckTimeout " + std::to_string(*value) +
                                    " is raised to 15 seconds, as llama-swap does",
                                "a model's own healthCheckTimeout is taken as it is written");
        }
        loading.health_check_timeout = capped_seconds(std::max(*value, least), node->mark,
                                                      "healthCheckTimeout", loading.report);
    }
}

void read_log_level(Loading& loading, Reader& reader) {
    constexpr std::array<std::string_view, 4> names{"debug", "info", "warn", "error"};
    const Node* node = loading.root.find("logLevel");
    if (node == nullptr) {
        return;
    }
    if (auto text = reader.text(*node, "logLevel")) {
        std::string lower = trimmed(*text);
        std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        const auto at = std::find(names.begin(), names.end(), lower);
        if (at != names.end()) {
            loading.config.log_level = static_cast<LogLevel>(at - names.begin());
        } else {
            loading.report.warn(node->mark, "unknown logLevel \"" + *text + "\": info is used",
                                "one of debug, info, warn, error");
        }
    }
}

void read_listen(Loading& loading, Reader& reader) {
    const Node* node = loading.root.find("listen");
    std::vector<PlacedText> texts;
    if (node != nullptr && node->is_scalar()) {
        if (auto text = reader.text(*node, "listen")) {
            texts.push_back({std::move(*text), node->mark});
        }
    } else if (node != nullptr) {
        texts = reader.texts(*node, "listen").value_or(texts);
    }
    for (const auto& [text, mark] : texts) {
        const auto address = parse_listen_address(text);
        if (address) {
            loading.config.listen.push_back(text);
        } else {
            loading.report.error(mark, "listen: " + address.error().detail);
        }
    }
}

void read_tls(Loading& loading, Reader& reader) {
    const Node* node = loading.root.find("tls");
    if (node == nullptr || !node->is_map()) {
        return;
    }
    const auto file = [&](std::string_view name) {
        const Node* value = node->find(name);
        return value != nullptr ? reader.text(*value, "tls." + std::string(name)).value_or("") : "";
    };
    TlsFiles files{file("certFile"), file("keyFile")};
    if (files.certificate.empty() || files.key.empty()) {
        loading.report.error(node->mark, "tls needs both certFile and keyFile");
    } else {
        loading.config.tls = std::move(files);
    }
}

void read_start_port(Loading& loading, Reader& reader) {
    const Node* node = loading.root.find("startPort");
    if (node == nullptr) {
        return;
    }
    if (const auto value = reader.integer(*node, "startPort")) {
        if (*value < 1) {
            loading.report.error(node->mark, "startPort must be greater than 1");
        } else if (*value > 65535) {
            loading.report.warn(node->mark,
                                "startPort " + std::to_string(*value) + " is not a port: " +
                                    std::to_string(loading.config.start_port) + " is used",
                                "a number from 1 to 65535");
        } else {
            loading.config.start_port = static_cast<std::uint16_t>(*value);
        }
    }
}

void read_timeouts(Loading& loading, Reader& reader) {
    const Node* ttl = loading.root.find("globalTTL");
    if (const auto value = ttl != nullptr ? reader.integer(*ttl, "globalTTL") : std::nullopt) {
        if (*value < 0) {
            loading.report.error(ttl->mark, "globalTTL must be >= 0");
        } else {
            loading.global_ttl = capped_seconds(*value, ttl->mark, "globalTTL", loading.report);
        }
    }
    const Node* unload = loading.root.find("unloadTimeout");
    if (const auto value =
            unload != nullptr ? reader.integer(*unload, "unloadTimeout") : std::nullopt) {
        if (*value < 0) {
            loading.report.error(unload->mark, "unloadTimeout must be >= 0");
        } else if (*value > 0) {
            loading.unload_timeout =
                capped_seconds(*value, unload->mark, "unloadTimeout", loading.report);
        }
    }
}

void read_api_keys(Loading& loading, Reader& reader) {
    const Node* node = loading.root.find("apiKeys");
    if (node == nullptr) {
        return;
    }
    loading.report.hide_line(node->mark);
    for (const Node* item : node->items) {
        loading.report.hide_line(item->mark);
    }
    const auto keys = reader.texts(*node, "apiKeys");
    for (std::size_t i = 0; keys && i < keys->size(); ++i) {
        const auto& [text, mark] = (*keys)[i];
        if (text.empty()) {
            loading.report.error(mark, "empty api key found in apiKeys");
        } else if (text.find(' ') != std::string::npos) {
            loading.report.error(
                mark, "apiKeys[" + std::to_string(i) + "]: api key cannot contain spaces");
        } else {
            loading.config.api_keys.push_back(text);
        }
    }
}

}  // namespace

ModelId Loading::resolve(const std::string& name) const {
    if (config.find_id(ModelId(name)) != nullptr) {
        return ModelId(name);
    }
    const auto alias = aliases.find(name);
    return alias != aliases.end() ? ModelId(alias->second) : ModelId();
}

ModelConfig* Loading::model(const ModelId& id) {
    const auto at =
        std::lower_bound(config.models.begin(), config.models.end(), id,
                         [](const ModelConfig& m, const ModelId& wanted) { return m.id < wanted; });
    return at != config.models.end() && at->id == id ? &*at : nullptr;
}

std::string Loading::nearest_model(std::string_view name) const {
    constexpr std::size_t names_max = 10'000;  // each is compared, for each mistake
    if (report.full() || config.models.size() + aliases.size() > names_max) {
        return {};
    }
    std::vector<std::string_view> known;
    for (const ModelConfig& model : config.models) {
        known.emplace_back(model.id.str());
        known.insert(known.end(), model.aliases.begin(), model.aliases.end());
    }
    const auto nearest = nearest_name(name, known);
    return nearest.empty() ? std::string() : "did you mean \"" + std::string(nearest) + "\"?";
}

std::string trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n\v\f";
    const auto first = text.find_first_not_of(blanks);
    return first == std::string_view::npos
               ? std::string()
               : std::string(text.substr(first, text.find_last_not_of(blanks) - first + 1));
}

std::vector<Entry> in_order(const Node& map) {
    std::vector<Entry> entries = map.entries;
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.key->text < b.key->text; });
    return entries;
}

const Node* node_at(const Node& from, std::initializer_list<std::string_view> path) {
    const Node* node = &from;
    for (const auto key : path) {
        node = node->is_map() ? node->find(key) : nullptr;
        if (node == nullptr) {
            return nullptr;
        }
    }
    return node;
}

seconds capped_seconds(std::int64_t value, Mark mark, std::string_view place, Report& report) {
    constexpr std::int64_t most = seconds(duration_max).count();
    if (value > most) {
        report.warn(mark, std::string(place) + " is longer than 100 years, which are used");
        return seconds(most);
    }
    return seconds(value);
}

void read_macros(const Node& macros, const std::string& place, MacroScope& scope, Report& report) {
    if (macros.is_null()) {
        return;
    }
    if (!macros.is_map()) {
        report.error(macros.mark, place + "macros must be a mapping");
        return;
    }
    for (const Entry& entry : macros.entries) {
        const std::string& name = entry.key->text;
        if (auto mistake = macro_name_mistake(name); !mistake.empty()) {
            report.error(entry.key->mark, place + mistake);
            continue;
        }
        if (!entry.value->is_scalar()) {
            report.error(entry.value->mark,
                         place + "macro '" + name +
                             "' has invalid type, must be a scalar type (string, int, float, or "
                             "bool)");
            continue;
        }
        Value value = resolve(*entry.value);
        const auto* text = std::get_if<std::string>(&value);
        if (text != nullptr && text->find("${" + name + "}") != std::string::npos) {
            report.error(entry.value->mark, place + "macro '" + name + "' contains self-reference");
            continue;
        }
        scope.define(name, std::move(value));
    }
}

void read_globals(Loading& loading) {
    if (const Node* macros = loading.root.find("macros")) {
        read_macros(*macros, "", loading.globals, loading.report);
    }
    Reader reader = loading.reader();
    loading.keys.mapping(loading.root, top_level_keys(), reader, "");
    read_health_check_timeout(loading, reader);
    read_log_level(loading, reader);
    read_start_port(loading, reader);
    read_listen(loading, reader);
    read_tls(loading, reader);
    read_timeouts(loading, reader);
    read_api_keys(loading, reader);
    if (const Node* node = loading.root.find("includeAliasesInList")) {
        loading.config.include_aliases_in_list =
            reader.boolean(*node, "includeAliasesInList").value_or(false);
    }
    if (const Node* node = loading.root.find("sendLoadingState")) {
        loading.send_loading_state = reader.boolean(*node, "sendLoadingState").value_or(false);
    }
    constexpr std::string_view keep_alive = "loadingKeepAlive";
    if (const Node* node = loading.root.find(keep_alive)) {
        const Key& key = *find_key(top_level_keys(), keep_alive);
        loading.loading_keep_alive =
            read_interval(reader, *node, key).value_or(std::chrono::milliseconds::zero());
    }
}

void read_preload(Loading& loading) {
    const Node* node = node_at(loading.root, {"hooks", "on_startup", "preload"});
    if (node == nullptr) {
        return;
    }
    Reader reader = loading.reader();
    const auto names = reader.texts(*node, "hooks.on_startup.preload");
    for (std::size_t i = 0; names && i < names->size(); ++i) {
        const std::string name = trimmed((*names)[i].text);
        if (name.empty()) {
            continue;
        }
        const ModelId id = loading.resolve(name);
        if (!id.empty()) {
            loading.config.preload.push_back(id.str());
            continue;
        }
        loading.report.warn(
            (*names)[i].mark,
            "hooks.on_startup.preload: no model or alias \"" + name + "\": it is not loaded",
            loading.nearest_model(name));
    }
}

}  // namespace corral::load
