// Reading what is there, and proving what would be there; see renew_check.hpp.

#include "discovery/renew_check.hpp"

#include "core/config_difference.hpp"
#include "discovery/config_blocks.hpp"
#include "discovery/discovery.hpp"
#include "discovery/renew.hpp"
#include "discovery/text.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace corral {

namespace {

constexpr std::string_view default_group = "(default)";

EnvironmentLookup or_nothing(const EnvironmentLookup& environment) {
    return environment ? environment
                       : [](const std::string&) { return std::optional<std::string>(); };
}

std::string mistakes(const ConfigLoad& load) {
    std::string out;
    for (const Diagnostic& diagnostic : load.diagnostics) {
        if (diagnostic.severity == Severity::error) {
            out += format_diagnostic(diagnostic, false) + "\n";
        }
    }
    return out;
}

/// The names that a commented-out block would bring; only the id where it uses macros.
GivenNames names_of_stored(const ConfigBlock& block) {
    GivenNames names{block.id, {}};
    const ConfigLoad load =
        load_config("models:\n" + block.body, "", [](const std::string&) { return std::nullopt; });
    if (load.config && load.config->models.size() == 1) {
        names.aliases = load.config->models.front().aliases;
    }
    return names;
}

/// What only text can tell: keys at the top level, outside of blocks.
void read_top_level(const std::vector<ConfigPiece>& pieces, ExistingConfig& out) {
    for (const ConfigPiece& piece : pieces) {
        if (piece.is_block) {
            continue;
        }
        for (const std::string_view line : split_lines(piece.text)) {
            const LineShape shape = shape_of(line);
            if (shape.indent > 0 || shape.is_comment || shape.is_blank) {
                continue;
            }
            const std::string key = key_of_line(line);
            if (key == "routing" || key == "matrix") {
                out.has_own_group = true;
            } else if (key == "healthCheckTimeout") {
                const std::size_t digits = line.find_first_of("0123456789");
                int seconds = 0;
                if (digits != std::string_view::npos) {
                    std::from_chars(line.data() + digits, line.data() + line.size(), seconds);
                }
                out.health_check_timeout = std::chrono::seconds(std::max(seconds, 15));
            }
        }
    }
}

void read_blocks(const std::vector<ConfigPiece>& pieces, ExistingConfig& out) {
    for (const ConfigPiece& piece : pieces) {
        const ConfigBlock& block = piece.block;
        if (!piece.is_block || block.is_group) {
            continue;
        }
        BlockInFile entry{block.key, {block.id, {}}, block.is_edited(), !block.gone.empty()};
        if (entry.gone) {
            entry.names = names_of_stored(block);
        } else if (const ModelConfig* model = out.config->find_id(ModelId(block.id))) {
            entry.names.aliases = model->aliases;
        }
        out.blocks.push_back(std::move(entry));
    }
    // Of two blocks for one file the untouched one is the file's.
    std::stable_sort(
        out.blocks.begin(), out.blocks.end(),
        [](const BlockInFile& a, const BlockInFile& b) { return a.edited < b.edited; });
}

/// Models, names and groups that are somebody's own.
void read_own(ExistingConfig& out) {
    std::set<std::string> of_blocks;
    for (const BlockInFile& block : out.blocks) {
        if (!block.gone) {
            of_blocks.insert(block.names.id);
        }
    }
    for (const ModelConfig& model : out.config->models) {
        if (of_blocks.contains(model.id.str())) {
            continue;
        }
        out.reserved.emplace(model.id.str(), model.id.str());
        for (const std::string& alias : model.aliases) {
            out.reserved.emplace(alias, model.id.str());
        }
        if (std::string path = model_file_of(model); !path.empty()) {
            out.by_hand.push_back({model.id.str(), std::move(path)});
        }
    }
    for (const SelectorConfig& selector : out.config->selectors) {
        out.reserved.emplace(selector.id, "the selector of that name");
    }
    for (const PeerConfig& peer : out.config->peers) {
        for (const std::string& model : peer.models) {
            out.reserved.emplace(peer.id + "/" + model, "the peer " + peer.id);
        }
    }
    for (const GroupConfig& group : out.config->groups) {
        if (group.id == default_group || group.id == out.generated_group) {
            continue;
        }
        out.has_own_group = out.has_own_group || group.id == "default_group";
        for (const ModelId& member : group.members) {
            out.grouped_by_hand.insert(member.str());
        }
    }
}

/// Which models may not change: those of somebody's own hand.
std::string changed_model(const ExistingConfig& before, const Config& after,
                          const std::set<std::string>& generated) {
    for (const ModelConfig& model : before.config->models) {
        if (generated.contains(model.id.str())) {
            continue;
        }
        const ModelConfig* now = after.find_id(model.id);
        if (now == nullptr) {
            return "the model " + escaped(model.id.str(), 200) + " would be lost";
        }
        ModelConfig same_port = model;
        same_port.port = now->port;
        if (same_port != *now) {
            return "the model " + escaped(model.id.str(), 200) + " would mean something else";
        }
    }
    return {};
}

std::string changed_setting(const ExistingConfig& existing, const Config& after) {
    const Config& before = *existing.config;
    for (const std::string& key : difference(before, after).settings) {
        // Preloads of models that have gone are dropped with them.
        if (key != "groups" && key != "hooks.on_startup.preload") {
            return key + " would mean something else";
        }
    }
    for (const GroupConfig& group : before.groups) {
        if (group.id == default_group || group.id == existing.generated_group) {
            continue;
        }
        const auto now =
            std::find_if(after.groups.begin(), after.groups.end(),
                         [&](const GroupConfig& other) { return other.id == group.id; });
        if (now == after.groups.end() || *now != group) {
            return "the group " + escaped(group.id, 200) + " would mean something else";
        }
    }
    return {};
}

}  // namespace

RenewableLoad load_renewable(std::string_view text, std::string_view origin,
                             const EnvironmentLookup& environment) {
    RenewableLoad whole{load_config(text, origin, or_nothing(environment))};
    if (whole.load.config) {
        return whole;
    }
    std::string own;
    bool has_group = false;
    for (const ConfigPiece& piece : split_config(text)) {
        if (!piece.is_block || !piece.block.is_group || piece.block.is_edited()) {
            own += piece.text;
            continue;
        }
        has_group = true;
        // Comments in its place, so that the lines of mistakes are those of the file.
        for (std::size_t line = split_lines(piece.text).size(); line > 0; --line) {
            own += "#\n";
        }
    }
    if (!has_group) {
        return whole;
    }
    return {load_config(own, origin, or_nothing(environment)), false};
}

ExistingConfig::ExistingConfig(std::string_view text)
    : is_new(text.find_first_not_of(" \t\r\n") == std::string_view::npos) {}

bool ExistingConfig::has_block(const std::string& key) const {
    return std::any_of(blocks.begin(), blocks.end(),
                       [&](const BlockInFile& block) { return block.key == key; });
}

bool ExistingConfig::is_edited(const std::string& key) const {
    return std::any_of(blocks.begin(), blocks.end(),
                       [&](const BlockInFile& block) { return block.key == key && block.edited; });
}

Result<ExistingConfig> read_existing(const std::string& text, const std::string& origin,
                                     const EnvironmentLookup& environment,
                                     const RenewableLoad* loaded) {
    ExistingConfig out(text);
    if (out.is_new) {
        return out;
    }
    const std::vector<ConfigPiece> pieces = split_config(text);
    bool has_blocks = false;
    for (const ConfigPiece& piece : pieces) {
        has_blocks = has_blocks || piece.is_block;
        if (piece.is_block && piece.block.is_group) {
            out.has_group_block = true;
            out.generated_group = piece.block.is_edited() ? out.generated_group : piece.block.id;
        }
    }
    const RenewableLoad renewable =
        loaded != nullptr ? *loaded : load_renewable(text, origin, environment);
    const ConfigLoad& load = renewable.load;
    if (!load.config) {
        return Error(Errc::invalid_config, Blame::internal,
                     mistakes(load) + "the names in " + escaped(origin) +
                         " cannot be kept while it has errors; mend it or remove it, then scan "
                         "again");
    }
    if (!has_blocks && is_untouched(text)) {
        out.old_names = given_names(*load.config);
        out.is_new = true;
        return out;
    }
    out.config = load.config;
    out.is_whole = renewable.is_whole;
    read_top_level(pieces, out);
    read_blocks(pieces, out);
    read_own(out);
    if (out.has_group_block) {
        out.has_own_group = false;
    }
    return out;
}

CheckedText check_text(const CheckInput& input, const EnvironmentLookup& environment) {
    CheckedText out;
    // What stands there already has been loaded already.
    const bool is_same =
        input.before->is_whole && input.before->config && input.text == input.existing;
    ConfigLoad load;
    if (is_same) {
        load.config = input.before->config;
    } else {
        load = load_config(input.text, input.origin, or_nothing(environment));
    }
    if (!load.config) {
        out.problem = mistakes(load) + "what would be written to " + escaped(input.origin) +
                      " cannot be loaded, so nothing is written";
        return out;
    }
    std::set<std::string> generated;  // ids whose meaning is scan's to change
    for (const ConfigPiece& piece : split_config(input.text)) {
        const ConfigBlock& block = piece.block;
        if (!piece.is_block || block.is_group) {
            continue;
        }
        const bool own = block.gone.empty() && block.is_edited();
        if (!own) {
            generated.insert(block.id);
        }
        const auto command = input.commands->find(block.key);
        if (own || !block.gone.empty() || command == input.commands->end()) {
            continue;
        }
        const ModelConfig* model = load.config->find_id(ModelId(block.id));
        if (model == nullptr || model->argv != command->second) {
            out.damaged.insert(block.key);
        }
    }
    if (input.before->config && !is_same) {
        for (const BlockInFile& block : input.before->blocks) {
            if (!block.edited && !block.gone) {
                generated.insert(block.names.id);
            }
        }
        out.problem = changed_model(*input.before, *load.config, generated);
        if (out.problem.empty()) {
            out.problem = changed_setting(*input.before, *load.config);
        }
        if (!out.problem.empty()) {
            out.problem = escaped(input.origin) + " stays as it is: " + out.problem;
        }
    }
    out.config = std::move(load.config);
    return out;
}

}  // namespace corral
