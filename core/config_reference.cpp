#include "core/config_reference.hpp"

#include "core/load/keys.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

namespace corral {
namespace {

using load::Key;
using load::Shape;
using load::Support;

/// One table. Its keys are not shown again in the tables of the mappings that hold them.
struct Section {
    std::string_view name;
    load::KeyTable keys;
    std::string_view prefix = {};
};

constexpr std::array sections{
    Section{"top level", load::top_level_keys},
    Section{"model", load::model_keys},
    Section{"routing", load::routing_keys, "routing."},
    Section{"group", load::group_keys},
    Section{"matrix", load::matrix_keys},
    Section{"profile", load::profile_keys},
    Section{"selector", load::selector_keys},
    Section{"peer", load::peer_keys},
    Section{"limits", load::limit_keys},
    Section{"discovery", load::discovery_keys, "discovery."},
};

bool has_section(const Key& key) {
    return std::any_of(sections.begin(), sections.end(),
                       [&](const Section& section) { return section.keys == key.traits.members; });
}

struct Row {
    std::string path;
    const Key* key;
    bool later;
};

void add_rows(std::vector<Row>& rows, std::span<const Key> keys, const std::string& prefix,
              bool later) {
    for (const Key& key : keys) {
        const std::string path = prefix + std::string(key.name);
        const bool no_effect = later || key.traits.support == Support::later;
        if (key.shape == Shape::mapping && !has_section(key)) {
            add_rows(rows, key.members(), path + ".", no_effect);
        } else {
            rows.push_back({path, &key, no_effect});
        }
    }
}

std::string size_text(std::int64_t bytes) {
    constexpr std::array<std::string_view, 4> units{"", "KiB", "MiB", "GiB"};
    std::size_t unit = 0;
    for (; bytes != 0 && bytes % 1024 == 0 && unit + 1 < units.size(); ++unit) {
        bytes /= 1024;
    }
    return std::to_string(bytes) + std::string(units.at(unit));
}

std::string bounds_text(const Key& key) {
    const auto show = [&](std::int64_t value) {
        return key.shape == Shape::size ? size_text(value) : std::to_string(value);
    };
    if (key.has_least() && key.has_most()) {
        return ", " + show(key.traits.least) + " to " + show(key.traits.most);
    }
    return key.traits.least > 0 || key.traits.least == -1 ? ", at least " + show(key.traits.least)
                                                          : "";
}

std::string words_text(std::span<const std::string_view> words) {
    std::string out;
    for (const std::string_view word : words) {
        if (!word.empty()) {
            out += (out.empty() ? "`" : ", `") + std::string(word) + "`";
        }
    }
    return out;
}

std::string type_text(const Key& key) {
    switch (key.shape) {
        case Shape::boolean:
            return "bool";
        case Shape::integer:
            return "number" + bounds_text(key);
        case Shape::seconds:
            return "seconds" + bounds_text(key);
        case Shape::size:
            return "size" + bounds_text(key);
        case Shape::span:
        case Shape::duration:
            return "duration";
        case Shape::interval:
            return "bool or duration";
        case Shape::text:
            return "text";
        case Shape::word:
            return words_text(key.traits.words);
        case Shape::url:
        case Shape::endpoint:
            return "URL";
        case Shape::words:
            return "list of " + words_text(key.traits.words);
        case Shape::text_or_texts:
            return "list or text";
        case Shape::texts:
        case Shape::patterns:
        case Shape::assignments:
            return "list";
        default:
            return "map";
    }
}

std::string preset_text(const Key& key) {
    if (!key.traits.otherwise.empty()) {
        return std::string(key.traits.otherwise);
    }
    if (key.traits.required) {
        return "needed";
    }
    if (key.preset.empty() || key.preset == "{}" || key.preset == "[]") {
        return "none";
    }
    return "`" + std::string(key.preset) + "`";
}

std::string compared_text(const Key& key) {
    return key.traits.extension ? "an extension: llama-swap ignores it"
                                : std::string(key.traits.compared);
}

std::string cell(std::string_view text) {
    std::string out = " ";
    for (const char c : text) {
        out += c == '|' ? "\\|" : std::string(1, c);
    }
    return out + " |";
}

std::string table(const Section& section) {
    std::vector<Row> rows;
    add_rows(rows, section.keys(), std::string(section.prefix), false);
    const bool compares = std::any_of(
        rows.begin(), rows.end(), [](const Row& row) { return !compared_text(*row.key).empty(); });
    std::string out = compares ? "| key | type | default | meaning | compared with llama-swap |\n"
                                 "|---|---|---|---|---|\n"
                               : "| key | type | default | meaning |\n|---|---|---|---|\n";
    for (const auto& [path, key, later] : rows) {
        out += "|" + cell("`" + path + "`") + cell(type_text(*key)) + cell(preset_text(*key)) +
               cell(std::string(key->meaning) + (later ? " *(no effect yet)*" : ""));
        out += compares ? cell(compared_text(*key)) + "\n" : "\n";
    }
    return out;
}

Error bad(const std::string& what) {
    return {Errc::invalid_config, Blame::internal, what};
}

}  // namespace

Result<std::string> with_key_tables(std::string_view markdown) {
    constexpr std::string_view begin = "<!-- keys: ";
    constexpr std::string_view begin_end = " -->\n";
    constexpr std::string_view end = "<!-- end of keys -->";
    std::string out;
    std::set<std::string_view> missing;
    for (const Section& section : sections) {
        missing.insert(section.name);
    }
    for (std::size_t at = 0;;) {
        const auto marker = markdown.find(begin, at);
        if (marker == std::string_view::npos) {
            out += markdown.substr(at);
            break;
        }
        const auto name_at = marker + begin.size();
        const auto name_end = markdown.find(begin_end, name_at);
        const auto next = markdown.find(end, name_at);
        if (name_end == std::string_view::npos || next == std::string_view::npos ||
            name_end > next) {
            return bad("a table of keys has no end: \"" + std::string(end) + "\"");
        }
        const auto name = markdown.substr(name_at, name_end - name_at);
        const auto* section = std::find_if(sections.begin(), sections.end(),
                                           [&](const Section& s) { return s.name == name; });
        if (section == sections.end()) {
            return bad("there is no table of keys named \"" + std::string(name) + "\"");
        }
        missing.erase(name);
        out += markdown.substr(at, name_end + begin_end.size() - at);
        out += table(*section);
        at = next;
    }
    if (!missing.empty()) {
        return bad("no marker for the table of keys \"" + std::string(*missing.begin()) + "\"");
    }
    return out;
}

}  // namespace corral
