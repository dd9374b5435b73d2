// `corral scan`: looks for models and writes a config for them. Declared in app/commands.hpp. Main
// thread, before any other thread; the work is discovery's.

#include "app/commands.hpp"
#include "app/paths.hpp"
#include "core/config_load.hpp"
#include "core/file.hpp"
#include "discovery/discovery.hpp"
#include "discovery/text.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace corral {

namespace {

constexpr int exit_found = 0;
constexpr int exit_nothing_found = 1;
constexpr int exit_error = 2;
constexpr std::size_t config_bytes_max = 16U << 20;  // what load_config() reads

struct ScanArguments {
    std::vector<std::string> directories;
    std::string output;
    std::string engine;
    bool json = false;
    bool keep_edited = false;
};

void say(const std::string& line) {
    std::fprintf(stderr, "%s\n", line.c_str());
}

/// False when standard output does not take it, as with a full disk.
bool print(const std::string& text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (written && std::fflush(stdout) == 0) {
        return true;
    }
    say("corral scan: standard output cannot be written");
    return false;
}

/// The file that is to be replaced: its text, and the names in it that must stay.
struct Existing {
    std::string text;
    bool present = false;
    std::map<std::string, std::string> ids_by_path;
    GivenByPath given;
};

std::optional<Existing> read_existing(const std::string& path,
                                      const EnvironmentLookup& environment) {
    Existing existing;
    std::error_code error;
    if (path.empty() || !std::filesystem::exists(path, error)) {
        return existing;
    }
    const Result<std::string> text = read_text_file(path, config_bytes_max);
    if (!text) {
        say("corral scan: " + text.error().detail);
        return std::nullopt;
    }
    existing.text = *text;
    existing.present = true;
    if (text->empty()) {
        return existing;
    }
    const ConfigLoad load = load_config(*text, path, environment);
    if (!load.config) {
        for (const Diagnostic& diagnostic : load.diagnostics) {
            say(format_diagnostic(diagnostic, false));
        }
        say("corral scan: the names in " + escaped(path) +
            " cannot be kept while it has errors; mend it or remove it, then scan again");
        return std::nullopt;
    }
    existing.given = given_names(*load.config);
    for (const auto& [model_path, names] : existing.given) {
        existing.ids_by_path.emplace(model_path, names.id);
    }
    return existing;
}

/// Saves a file that was changed by hand as FILE.bak, FILE.bak2 and so on.
bool save_copy(const std::string& path, const std::string& text) {
    constexpr int copies_max = 100;
    for (int number = 1; number <= copies_max; ++number) {
        const std::string copy = path + ".bak" + (number == 1 ? "" : std::to_string(number));
        std::error_code error;
        if (std::filesystem::exists(copy, error)) {
            continue;
        }
        if (const Result<void> written = write_file_atomically(copy, text); !written) {
            say("corral scan: " + written.error().detail);
            return false;
        }
        say("The file was not as scan had written it; it is saved as " + escaped(copy));
        return true;
    }
    say("corral scan: there are too many saved copies beside " + escaped(path));
    return false;
}

/// One line a model that came, went or has another name.
void print_changes(const Existing& existing, const WrittenConfig& written, std::FILE* out) {
    std::map<std::string, std::string> before = existing.ids_by_path;
    for (const WrittenModel& model : written.models) {
        if (before.erase(model.path) == 0) {
            std::fprintf(out, "+ %s  %s\n", escaped(model.id).c_str(), escaped(model.path).c_str());
        }
    }
    for (const auto& [path, id] : before) {
        std::fprintf(out, "- %s  %s\n", escaped(id).c_str(), escaped(path).c_str());
    }
}

bool write_output(const ScanArguments& arguments, const Existing& existing,
                  const WrittenConfig& written) {
    std::FILE* out = arguments.json ? stderr : stdout;
    const std::string shown = escaped(arguments.output);
    if (existing.present && existing.text == written.yaml) {
        std::fprintf(out, "%s is up to date: %zu models\n", shown.c_str(), written.models.size());
        return true;
    }
    const bool edited = existing.present && !existing.text.empty() && !is_untouched(existing.text);
    if (edited && arguments.keep_edited) {
        std::fprintf(out, "%s was changed by hand and stays as it is\n", shown.c_str());
        return true;
    }
    if (edited && !save_copy(arguments.output, existing.text)) {
        return false;
    }
    if (const auto parent = std::filesystem::path(arguments.output).parent_path();
        !parent.empty()) {
        std::error_code ignored;  // writing tells it better
        std::filesystem::create_directories(parent, ignored);
    }
    if (const Result<void> result = write_file_atomically(arguments.output, written.yaml);
        !result) {
        say("corral scan: " + result.error().detail);
        return false;
    }
    print_changes(existing, written, out);
    std::fprintf(out, "%s written: %zu models\n", shown.c_str(), written.models.size());
    return true;
}

std::string json_text(const WrittenConfig& written, const std::vector<LeftOut>& left_out) {
    nlohmann::json document{{"models", nlohmann::json::array()},
                            {"left_out", nlohmann::json::array()}};
    for (const WrittenModel& model : written.models) {
        const ModelFile& file = model.found->file;
        document["models"].push_back({{"id", model.id},
                                      {"aliases", model.aliases},
                                      {"path", model.path},
                                      {"parts", model.found->part_count},
                                      {"role", role_name(file.role)},
                                      {"architecture", file.architecture},
                                      {"parameters", file.parameters},
                                      {"quantization", model.found->quantization()},
                                      {"bytes", file.file_bytes},
                                      {"context_length", file.context_length}});
    }
    for (const LeftOut& item : left_out) {
        document["left_out"].push_back({{"path", item.path}, {"reason", item.reason}});
    }
    // File names may be any bytes; JSON may not.
    return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string find_engine(const ScanArguments& arguments, const EnvironmentLookup& environment) {
    if (!arguments.engine.empty()) {
        return arguments.engine;
    }
    const std::optional<std::string> named = environment("CORRAL_LLAMA_SERVER");
    return named && !named->empty() ? *named : "llama-server";
}

/// Says which starting points could not be read; of the default ones those that are not there at
/// all are no news. False when a named one failed.
bool tell_failed_roots(const Discovery& discovery, bool by_default) {
    for (const LeftOut& root : discovery.catalogue.failed_roots) {
        std::error_code error;
        if (!by_default || std::filesystem::exists(root.path, error)) {
            say("corral scan: " + escaped(root.path) + ": " + root.reason);
        }
    }
    return by_default || discovery.catalogue.failed_roots.empty();
}

int run_scan(const ScanArguments& arguments) {
    const EnvironmentLookup environment = process_environment();
    const std::optional<Existing> existing = read_existing(arguments.output, environment);
    if (!existing) {
        return exit_error;
    }
    const bool by_default = arguments.directories.empty();
    DiscoverOptions where;
    where.directories = by_default ? default_model_directories(environment) : arguments.directories;
    where.index_file = index_file(environment);
    const Discovery discovery = discover(where);
    if (const std::string& warning = discovery.catalogue.index_warning; !warning.empty()) {
        say("corral scan: " + warning);
    }
    if (!tell_failed_roots(discovery, by_default)) {
        return exit_error;
    }
    WriteOptions how;
    how.engine = find_engine(arguments, environment);
    how.gpus = probe_gpus();
    how.given = existing->given;
    const Result<WrittenConfig> written = write_config(discovery, how);
    if (!written) {
        say("corral scan: " + written.error().detail);
        return exit_error;
    }
    std::vector<LeftOut> left_out = discovery.catalogue.left_out;
    left_out.insert(left_out.end(), written->left_out.begin(), written->left_out.end());
    for (const LeftOut& item : left_out) {
        say("left out: " + escaped(item.path) + ": " + item.reason);
    }
    if (!arguments.output.empty() && !write_output(arguments, *existing, *written)) {
        return exit_error;
    }
    if ((arguments.json && !print(json_text(*written, left_out))) ||
        (!arguments.json && arguments.output.empty() && !print(written->yaml))) {
        return exit_error;
    }
    if (written->models.empty()) {
        say("No model was found in:");
        for (const std::string& directory : discovery.directories) {
            say("  " + escaped(directory));
        }
        say("Put *.gguf files into one of these, or name a directory: corral scan DIR");
        return exit_nothing_found;
    }
    return exit_found;
}

}  // namespace

void add_scan_command(CLI::App& app, int& status) {
    const auto arguments = std::make_shared<ScanArguments>();
    CLI::App* scan =
        app.add_subcommand("scan", "Look for models (*.gguf) and write a configuration for them");
    scan->add_option("DIR", arguments->directories,
                     "Where to look (default: ~/.clara/llama-models, ~/.local/share/corral/models, "
                     "/var/lib/corral/models, and the folders of LM Studio, llama.cpp and the "
                     "Hugging Face hub)");
    scan->add_option("-o,--output", arguments->output,
                     "Write there, keeping the names in it, instead of to standard output");
    scan->add_option("--engine", arguments->engine,
                     "The llama-server program (default: $CORRAL_LLAMA_SERVER, else llama-server)");
    scan->add_flag("--keep-edited", arguments->keep_edited,
                   "Leave the output alone when it was changed by hand since scan wrote it");
    scan->add_flag("--json", arguments->json, "Print what was found as JSON");
    scan->callback([arguments, &status] { status = run_scan(*arguments); });
}

}  // namespace corral
