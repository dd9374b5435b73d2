// Writes the config as a person would like to read it, then reads it back to be sure of every word
// of every command; declared in discovery.hpp.

#include "core/config_load.hpp"
#include "discovery/discovery.hpp"
#include "discovery/model_command.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace corral {

namespace {

constexpr std::string_view checksum_mark = "# checksum: ";
constexpr std::size_t checksum_digits = 16;

/// A config is read up to 16 MiB; this many models stay far below that.
constexpr std::size_t models_max = 10'000;

/// FNV-1a, 64 bit: enough to notice an edit; nothing is protected by it.
std::string checksum(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return fmt::format("{:016x}", hash);
}

/// Loading takes seconds a gibibyte from a slow disk; 30 s are llama-swap's usual figure.
std::uint64_t load_seconds(const std::vector<NamedModel>& models) {
    constexpr std::uint64_t seconds_a_gibibyte = 10;
    std::uint64_t largest = 0;
    for (const NamedModel& model : models) {
        largest = std::max(largest, model.found->file.file_bytes);
    }
    return std::clamp<std::uint64_t>((largest >> 30U) * seconds_a_gibibyte, 30, 3600);
}

std::string head_text(const Discovery& discovery) {
    std::string text = "# Written by `corral scan`: the models in\n";
    for (const std::string& directory : discovery.directories) {
        text += "#   " + escaped(directory, 512) + "\n";
    }
    text +=
        "# Scan again when files come and go: names and aliases stay with their files, the rest\n"
        "# is written anew. Names and aliases may be changed here. To change more than that, keep\n"
        "# your own copy of this file and give it to `corral serve --config`; a changed file is\n"
        "# saved beside this one before it is replaced.\n";
    return text;
}

void add_model(std::string& text, const NamedModel& model, const ModelCommand& command,
               std::chrono::seconds ttl) {
    text += "\n";
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
    text += fmt::format("    ttl: {}\n", ttl.count());
    if (model.aliases.empty()) {
        return;
    }
    text += "    aliases:\n";
    for (const NamedAlias& alias : model.aliases) {
        text += fmt::format("      - {}  # {}\n", yaml_quoted(alias.name), escaped(alias.why, 512));
    }
}

std::string body_text(const std::vector<NamedModel>& models,
                      const std::vector<ModelCommand>& commands, std::chrono::seconds ttl) {
    std::string text =
        "\n# How long a model may take to answer after it was started, in seconds.\n";
    text += fmt::format("healthCheckTimeout: {}\nlogLevel: info\n", load_seconds(models));
    if (models.empty()) {
        return text + "\n# No model was found.\nmodels: {}\n";
    }
    text += "\n# A model that nobody asked for during `ttl` seconds is stopped.\nmodels:";
    for (std::size_t i = 0; i < models.size(); ++i) {
        add_model(text, models[i], commands[i], ttl);
    }
    text +=
        "\n# One model runs at a time: a request for another one swaps them.\n"
        "groups:\n"
        "  default_group:\n"
        "    swap: true\n"
        "    exclusive: true\n"
        "    members:\n";
    for (const NamedModel& model : models) {
        text += "      - " + yaml_quoted(model.id) + "\n";
    }
    return text;
}

/// The models whose command did not come back word for word, by path.
Result<std::set<std::string>> find_damaged(const std::string& yaml,
                                           const std::vector<NamedModel>& models,
                                           const std::vector<ModelCommand>& commands) {
    const ConfigLoad load =
        load_config(yaml, "scan", [](const std::string&) { return std::nullopt; });
    if (!load.config) {
        std::string reasons;
        for (const Diagnostic& diagnostic : load.diagnostics) {
            reasons += "\n" + format_diagnostic(diagnostic, false);
        }
        return Error(Errc::internal, Blame::internal,
                     "the config that was written cannot be loaded:" + reasons);
    }
    std::set<std::string> damaged;
    for (std::size_t i = 0; i < models.size(); ++i) {
        const ModelConfig* loaded = load.config->find_id(ModelId(models[i].id));
        if (loaded == nullptr || loaded->argv != commands[i].argv) {
            damaged.insert(models[i].found->path);
        }
    }
    return damaged;
}

/// What goes into the config: the first models by path, without the damaged ones.
std::vector<const FoundModel*> usable_models(const std::vector<FoundModel>& models,
                                             const std::set<std::string>& damaged) {
    std::vector<const FoundModel*> usable;
    for (std::size_t i = 0; i < std::min(models.size(), models_max); ++i) {
        if (!damaged.contains(models[i].path)) {
            usable.push_back(&models[i]);
        }
    }
    return usable;
}

WrittenConfig finish(const Discovery& discovery, const std::vector<NamedModel>& models,
                     const std::string& body) {
    WrittenConfig written;
    written.yaml = head_text(discovery);
    written.yaml += std::string(checksum_mark) + checksum(body) + "\n" + body;
    for (const NamedModel& model : models) {
        WrittenModel entry{model.id, {}, model.found->path, model.found};
        for (const NamedAlias& alias : model.aliases) {
            entry.aliases.push_back(alias.name);
        }
        written.models.push_back(std::move(entry));
    }
    return written;
}

}  // namespace

Result<WrittenConfig> write_config(const Discovery& discovery, const WriteOptions& options) {
    if (options.engine.empty() || !path_problem(options.engine).empty()) {
        return Error(Errc::invalid_config, Blame::internal,
                     "the engine " + escaped(options.engine) +
                         " cannot stand in a config: " + path_problem(options.engine));
    }
    std::vector<LeftOut> left_out;
    if (const std::size_t found = discovery.catalogue.models.size(); found > models_max) {
        left_out.push_back({discovery.catalogue.models[models_max].path,
                            fmt::format("this and what follows: there are {} models, and a config "
                                        "holds {}",
                                        found, models_max)});
    }
    std::set<std::string> damaged;
    // Twice at most: what is damaged the first time is gone the second.
    for (int attempt = 0; attempt < 2; ++attempt) {
        const std::vector<const FoundModel*> usable =
            usable_models(discovery.catalogue.models, damaged);
        const std::vector<NamedModel> models = assign_names(usable, options.given);
        std::vector<ModelCommand> commands;
        for (const NamedModel& model : models) {
            commands.push_back(make_command(*model.found, options.engine, options.gpus));
        }
        const std::string body = body_text(models, commands, options.ttl);
        const Result<std::set<std::string>> found = find_damaged(body, models, commands);
        if (!found) {
            return found.error();
        }
        if (found->empty()) {
            WrittenConfig written = finish(discovery, models, body);
            written.left_out = std::move(left_out);
            return written;
        }
        for (const std::string& path : *found) {
            left_out.push_back({path, "its path does not come through a config unchanged"});
        }
        damaged = *found;
    }
    return Error(Errc::internal, Blame::internal, "a config did not come back as it was written");
}

bool is_untouched(std::string_view yaml) {
    const std::size_t mark = yaml.find(checksum_mark);
    const std::size_t body = mark + checksum_mark.size() + checksum_digits + 1;
    return mark != std::string_view::npos && body <= yaml.size() &&
           yaml.substr(mark + checksum_mark.size(), checksum_digits) == checksum(yaml.substr(body));
}

}  // namespace corral
