// How a model reads; see model_block.hpp.

#include "discovery/model_block.hpp"

#include "core/command_line.hpp"
#include "discovery/capabilities.hpp"
#include "discovery/file_pattern.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

namespace corral {

namespace {

/// Text of a file made a YAML scalar that no macro and no quote can break.
std::string foreign_scalar(const std::string& text) {
    std::string out = escaped(text, 200);
    for (std::size_t at = out.find("${"); at != std::string::npos; at = out.find("${", at)) {
        out.erase(at, 1);
    }
    return yaml_quoted(out);
}

std::string flow_list(const std::vector<std::string>& words) {
    return fmt::format("[{}]", fmt::join(words, ", "));
}

void add_capabilities(std::string& text, const FoundModel& model,
                      std::optional<std::uint64_t> context) {
    Capabilities can = capabilities_of(model);
    if (context && *context > 0) {
        can.context = static_cast<std::int64_t>(*context);
    }
    if (can.empty()) {
        return;
    }
    text += "    capabilities:\n";
    if (!can.in.empty()) {
        text += "      in: " + flow_list(can.in) + "\n";
    }
    if (!can.out.empty()) {
        text += "      out: " + flow_list(can.out) + "\n";
    }
    text += can.tools ? "      tools: true\n" : "";
    text += can.reranker ? "      reranker: true\n" : "";
    if (can.context > 0) {
        text += fmt::format("      context: {}\n", can.context);
    }
}

std::string metadata_value(const MetadataEntry& entry) {
    if (const auto* number = std::get_if<std::uint64_t>(&entry.value)) {
        return std::to_string(*number);
    }
    if (const auto* flag = std::get_if<bool>(&entry.value)) {
        return *flag ? "true" : "false";
    }
    return foreign_scalar(std::get<std::string>(entry.value));
}

void add_metadata(std::string& text, const FoundModel& model) {
    const std::vector<MetadataEntry> entries = metadata_of(model);
    if (entries.empty()) {
        return;
    }
    text += "    metadata:\n";
    for (const MetadataEntry& entry : entries) {
        text += "      " + entry.key + ": " + metadata_value(entry) + "\n";
    }
}

/// Words of the settings behind those of the command.
void add_arguments(ModelCommand& command, const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        return;
    }
    std::string line;
    for (const std::string& word : arguments) {
        line += (line.empty() ? "" : " ") + quote_word(word);
        command.argv.push_back(word);
    }
    command.lines.push_back(line);
    command.comments.emplace_back("Its last words are those of `discovery:` for such files.");
}

std::string alias_settings(const DiscoveryConfig& settings) {
    std::string text;
    if (!settings.openai_aliases || !settings.alias_rules.empty()) {
        text += "  aliases:\n";
        text += settings.openai_aliases ? "" : "    openai: false\n";
        text += settings.alias_rules.empty() ? "" : "    rules:\n";
        for (const AliasRule& rule : settings.alias_rules) {
            text +=
                fmt::format("      {}: {}\n", yaml_quoted(rule.alias), yaml_quoted(rule.pattern));
        }
    }
    return text;
}

std::string override_settings(const DiscoveryConfig& settings) {
    std::string text = settings.overrides.empty() ? "" : "  overrides:\n";
    for (const DiscoveryOverride& one : settings.overrides) {
        text += "    " + yaml_quoted(one.pattern) + ":\n";
        text += one.skip ? "      skip: true\n" : "";
        text += one.ttl ? fmt::format("      ttl: {}\n", one.ttl->count()) : "";
        text += one.context ? fmt::format("      ctx: {}\n", *one.context) : "";
        text += one.threads ? fmt::format("      threads: {}\n", *one.threads) : "";
        text += one.gpu_layers ? fmt::format("      gpuLayers: {}\n", *one.gpu_layers) : "";
        text += one.name.empty() ? "" : "      name: " + yaml_quoted(one.name) + "\n";
        text += one.arguments.empty() ? "" : "      args:\n";
        for (const std::string& word : one.arguments) {
            text += "        - " + yaml_quoted(word) + "\n";
        }
    }
    return text;
}

/// So that a command which is changed to say something else is warned of.
void add_limits(std::string& text, const DiscoveryOverride& special) {
    if (special.threads || special.gpu_layers) {
        text += "    limits:\n";
        text += special.threads ? fmt::format("      threads: {}\n", *special.threads) : "";
        text += special.gpu_layers ? fmt::format("      gpuLayers: {}\n", *special.gpu_layers) : "";
    }
}

/// `discovery:` as the command line said it, so that the next scan needs no more than the file.
std::string discovery_settings(const DiscoveryConfig& settings) {
    constexpr std::array<std::string_view, 3> namings{"documented", "metadata", "filename"};
    std::string text = "discovery:\n";
    if (settings.directories.empty()) {
        text += "  directories: []  # the usual places, see `corral scan --help`\n";
    } else {
        text += "  directories:\n";
        for (const std::string& directory : settings.directories) {
            text += "    - " + yaml_quoted(directory) + "\n";
        }
    }
    if (!settings.engine.empty()) {
        text += "  engine: " + yaml_quoted(settings.engine) + "\n";
    }
    text += fmt::format("  ttl: {}\n", settings.ttl.count());
    if (settings.naming != NamingRule::documented) {
        text +=
            fmt::format("  naming: {}\n", namings.at(static_cast<std::size_t>(settings.naming)));
    }
    text += alias_settings(settings);
    text += settings.exclusive_group ? "" : "  group: none\n";
    text += settings.watch ? "  watch: true\n" : "";
    return text + override_settings(settings);
}

}  // namespace

DiscoveryOverride override_for(const DiscoveryConfig& settings, const std::string& path) {
    DiscoveryOverride out;
    for (const DiscoveryOverride& one : settings.overrides) {
        if (!matches_file(one.pattern, path)) {
            continue;
        }
        out.skip = one.skip;
        out.ttl = one.ttl ? one.ttl : out.ttl;
        out.context = one.context ? one.context : out.context;
        out.threads = one.threads ? one.threads : out.threads;
        out.gpu_layers = one.gpu_layers ? one.gpu_layers : out.gpu_layers;
        out.arguments = one.arguments.empty() ? out.arguments : one.arguments;
        out.name = one.name.empty() ? out.name : one.name;
    }
    return out;
}

std::chrono::seconds load_time(const FoundModel& model) {
    // Loading takes seconds a gibibyte from a slow disk; 30 s are llama-swap's usual figure.
    constexpr std::uint64_t seconds_a_gibibyte = 10;
    return std::chrono::seconds(
        std::clamp<std::uint64_t>((model.file.file_bytes >> 30U) * seconds_a_gibibyte, 30, 3600));
}

ModelBlock make_block(const NamedModel& model, const BlockOptions& options) {
    const FoundModel& found = *model.found;
    const DiscoveryOverride special = override_for(options.settings, found.path);
    std::optional<std::uint64_t> context = special.context;
    if (context && *context == 0) {
        context = found.file.context_length;
    }
    ModelCommand command = make_command(found, options.engine, options.gpus,
                                        {context, special.threads, special.gpu_layers});
    add_arguments(command, special.arguments);
    ModelBlock block;
    std::string& text = block.body;
    for (const std::string& comment : command.comments) {
        text += "  # " + comment + "\n";
    }
    for (const std::string& note : model.notes) {
        text += "  # " + note + "\n";
    }
    text += "  " + yaml_quoted(model.id) + ":\n    cmd: |\n";
    for (const std::string& line : command.lines) {
        text += "      " + line + "\n";
    }
    text += fmt::format("    ttl: {}\n", special.ttl.value_or(options.settings.ttl).count());
    add_limits(text, special);
    if (const auto time = load_time(found); time > options.health_check_timeout) {
        text += fmt::format("    healthCheckTimeout: {}\n", time.count());
    }
    if (!model.aliases.empty()) {
        text += "    aliases:\n";
        for (const NamedAlias& alias : model.aliases) {
            text +=
                fmt::format("      - {}  # {}\n", yaml_quoted(alias.name), escaped(alias.why, 512));
        }
    }
    add_capabilities(text, found, context);
    add_metadata(text, found);
    block.argv = std::move(command.argv);
    return block;
}

std::string group_block_body(const std::string& id, const std::vector<std::string>& members) {
    std::string text =
        "  # One model runs at a time: a request for another one swaps them.\n"
        "  " +
        id +
        ":\n"
        "    swap: true\n"
        "    exclusive: true\n"
        "    members:\n";
    for (const std::string& member : members) {
        text += "      - " + yaml_quoted(member) + "\n";
    }
    return text;
}

std::string skeleton(const DiscoveryConfig& settings, std::chrono::seconds health_check_timeout) {
    return "# Written by `corral scan`, and yours to change. `corral regenerate` (or `corral scan\n"
           "# --write`) renews it when files come and go: it writes the blocks anew that begin "
           "with\n"
           "# `# corral:` and that nobody has changed. A block that you changed stays as it is, "
           "one\n"
           "# that you took out stays out (`corral scan --forget NAME` brings it back), and what\n"
           "# stands outside of the blocks is never touched. Put your own models there.\n"
           "\n"
           "# What scan goes by; docs/configuration.md explains it.\n" +
           discovery_settings(settings) +
           fmt::format(
               "\n# How long a model may take to answer after it was started, in seconds.\n"
               "healthCheckTimeout: {}\nlogLevel: info\n\n"
               "# A model that nobody asked for during `ttl` seconds is stopped.\n"
               "models:\n",
               health_check_timeout.count());
}

}  // namespace corral
