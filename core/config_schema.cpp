#include "core/config_schema.hpp"

#include "core/load/keys.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string_view>

namespace corral {
namespace {

using load::Key;
using load::Shape;
using load::Support;
using Json = nlohmann::ordered_json;

/// A value that is nothing but macros, or holds one: its type is known after expansion only.
constexpr std::string_view only_macro = R"(^\$\{[^{}]+\}$)";
constexpr std::string_view holds_macro = R"(\$\{)";
/// What yaml.v3 takes for a bool besides true and false.
constexpr std::string_view macro_or_old_bool =
    R"(^(\$\{[^{}]+\}|[yYnN]|[yY]es|YES|[nN]o|NO|[oO]n|ON|[oO]ff|OFF)$)";
constexpr std::string_view span_text =
    R"(^(0|([0-9]*\.?[0-9]+\.?(ns|us|µs|μs|ms|s|m|h))+|.*\$\{.*)$)";
constexpr std::string_view size_text = R"(^([0-9]+ *(B|kB|KB|KiB|MB|MiB|GB|GiB|TiB)?|.*\$\{.*)$)";

/// A text as yaml.v3 takes it: any scalar means what is written.
Json any_scalar() {
    return {"string", "number", "boolean"};
}

/// The regular expression of a word in any mixture of capitals.
std::string in_any_case(std::string_view word) {
    std::string out;
    for (const char c : word) {
        const bool letter = c >= 'a' && c <= 'z';
        const char capital = static_cast<char>(letter ? c - 'a' + 'A' : c);
        out += letter ? std::string{'[', c, capital, ']'} : std::string(1, c);
    }
    return out;
}

Json one_of(const load::Traits& traits) {
    std::string pattern(holds_macro);
    if (traits.any_case) {
        for (const std::string_view word : traits.words) {
            pattern += "|^\\s*" + in_any_case(word) + "\\s*$";
        }
    }
    Json words = Json::array();
    std::copy(traits.words.begin(), traits.words.end(), std::back_inserter(words));
    return {{"anyOf", {{{"enum", words}}, {{"type", "string"}, {"pattern", pattern}}}}};
}

void add_bounds(Json& to, const Key& key, std::string_view least, std::string_view most) {
    if (key.has_least()) {
        to[std::string(least)] = key.traits.least;
    }
    if (key.has_most()) {
        to[std::string(most)] = key.traits.most;
    }
}

Json number_or(std::string_view pattern, const Key& key) {
    Json out{{"type", {"integer", "string"}}};
    add_bounds(out, key, "minimum", "maximum");
    out["pattern"] = pattern;
    return out;
}

/// A duration: bounds are in milliseconds, the number in seconds.
Json span_of(const Key& key) {
    Json out{{"type", {"number", "string"}}};
    if (key.has_least()) {
        out["minimum"] = static_cast<double>(key.traits.least) / 1000;
    }
    if (key.has_most()) {
        out["maximum"] = key.traits.most / 1000;
    }
    out["pattern"] = span_text;
    return out;
}

/// A duration, or whether there is one.
Json interval_of(const Key& key) {
    Json flag{{"type", "boolean"}};
    Json none{{"const", 0}};
    return {{"anyOf", Json::array({std::move(flag), std::move(none), span_of(key)})}};
}

Json list_of(Json items, const Key& key) {
    Json out{{"type", {"array", "null"}}, {"items", std::move(items)}};
    add_bounds(out, key, "minItems", "maxItems");
    return out;
}

Json map_of(Json values, const Key& key) {
    Json out{{"type", {"object", "null"}}};
    if (!key.traits.names.empty()) {
        out["propertyNames"] = {{"pattern", key.traits.names}};
    }
    if (key.shape != Shape::integers_by_name) {
        add_bounds(out, key, "minProperties", "maxProperties");
    }
    out["additionalProperties"] = std::move(values);
    return out;
}

Json schema_of(const Key& key, bool extension, bool later);

/// The keywords of a mapping with these keys and no others.
Json mapping_of(std::span<const Key> keys, bool extension, bool later) {
    Json properties = Json::object();
    Json required = Json::array();
    for (const Key& key : keys) {
        properties[std::string(key.name)] = schema_of(key, extension, later);
        if (const std::string other = load::snake_case(key.name);
            other != key.name && load::find_key(keys, other) == &key) {
            properties[other] = schema_of(key, extension, later);
        }
        if (key.traits.required) {
            required.push_back(key.name);
        }
    }
    Json out{{"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) {
        out["required"] = std::move(required);
    }
    out["additionalProperties"] = false;
    return out;
}

Json text_matching(std::string_view pattern) {
    return {{"type", "string"}, {"pattern", pattern}};
}

/// Where a model listens; the Unix socket is Corral's own.
Json http_or_unix() {
    Json http = text_matching(R"(^https?://|\$\{)");
    Json unix_socket = text_matching("^unix:///");
    unix_socket["x-corral-extension"] = true;
    return {{"anyOf", Json::array({std::move(http), std::move(unix_socket)})}};
}

Json shape_of(const Key& key, bool extension, bool later) {
    switch (key.shape) {
        case Shape::boolean:
            return {{"type", {"boolean", "string"}}, {"pattern", macro_or_old_bool}};
        case Shape::integer:
        case Shape::seconds:
            return number_or(only_macro, key);
        case Shape::size:
            return number_or(size_text, key);
        case Shape::span:
            return span_of(key);
        case Shape::interval:
            return interval_of(key);
        case Shape::duration:
            return text_matching(span_text);
        case Shape::text:
            return {{"type", any_scalar()}};
        case Shape::word:
            return one_of(key.traits);
        case Shape::url:
            return text_matching(R"(^https?://|\$\{)");
        case Shape::endpoint:
            return http_or_unix();
        case Shape::texts:
            return list_of({{"type", any_scalar()}}, key);
        case Shape::text_or_texts: {
            Json out = list_of({{"type", any_scalar()}}, key);
            out["type"] = {"array", "string", "number", "null"};
            return out;
        }
        case Shape::words:
            return list_of(one_of(key.traits), key);
        case Shape::patterns:
            return list_of({{"type", any_scalar()}}, key);  // RE2's syntax, so no "format": "regex"
        case Shape::assignments:
            return list_of(text_matching(R"(^[^=]+=|\$\{)"), key);
        case Shape::mapping: {
            Json out = mapping_of(key.members(), extension, later);
            out["type"] = {"object", "null"};
            return out;
        }
        case Shape::named:
            return map_of(mapping_of(key.members(), extension, later), key);
        case Shape::scalars_by_name:
            return map_of({{"type", any_scalar()}}, key);
        case Shape::texts_by_name:
            return map_of({{"type", {"string", "number", "boolean", "null"}}}, key);
        case Shape::integers_by_name:
            return map_of(number_or(only_macro, key), key);
        case Shape::anything_by_name:
            return map_of(true, key);
        case Shape::settings_by_names:
            return map_of({{"type", {"object", "null"}}}, key);
    }
    return true;
}

/// Null means that the default holds, so it may stand where a key has one.
void allow_null(Json& schema) {
    if (const auto any = schema.find("anyOf"); any != schema.end()) {
        any->push_back({{"type", "null"}});
        return;
    }
    Json& type = schema["type"];
    if (!type.is_array()) {
        type = Json::array({type});
    }
    if (std::find(type.begin(), type.end(), "null") == type.end()) {
        type.push_back("null");
    }
}

/// The default as the value that a YAML parser makes of it.
Json preset_of(const Key& key) {
    std::string text(key.preset);
    switch (key.shape) {
        case Shape::text:
        case Shape::word:
        case Shape::url:
        case Shape::endpoint:
        case Shape::duration:
            return text;
        case Shape::patterns:  // in single quotes: one pattern, no escapes
            return Json::array({text.substr(2, text.size() - 4)});
        default: {
            Json value = Json::parse(text, nullptr, false);
            return value.is_discarded() ? Json(text) : value;
        }
    }
}

/// The meaning as sentences of plain text.
std::string description_of(const Key& key, bool later) {
    std::string out(key.meaning);
    if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') {
        out[0] = static_cast<char>(out[0] - 'a' + 'A');
    }
    out += ".";
    if (!key.traits.otherwise.empty()) {
        out += " Default: " + std::string(key.traits.otherwise) + ".";
    }
    if (later) {
        out += " No effect in this version of Corral.";
    }
    std::erase(out, '`');
    return out;
}

Json schema_of(const Key& key, bool extension, bool later) {
    extension = extension || key.traits.extension;
    later = later || key.traits.support == Support::later;
    Json out{{"title", key.name}, {"description", description_of(key, later)}};
    if (extension) {
        out["x-corral-extension"] = true;
    }
    if (!key.preset.empty()) {
        out["default"] = preset_of(key);
    }
    Json shape = shape_of(key, extension, later);
    if (!key.traits.required) {
        allow_null(shape);
    }
    out.update(shape);
    return out;
}

}  // namespace

std::string config_schema() {
    Json out{{"$schema", "http://json-schema.org/draft-07/schema#"},
             {"title", "Corral's configuration"},
             {"description",
              "Made by `corral schema`. A config.yaml of llama-swap is one of Corral, too."}};
    Json top = mapping_of(load::top_level_keys(), false, false);
    top["type"] = {"object", "null"};
    top["patternProperties"] = {{R"(^(x-|[._]))", true}};
    out.update(top);
    return out.dump(2) + "\n";
}

}  // namespace corral
