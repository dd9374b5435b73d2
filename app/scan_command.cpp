// `corral scan` and `corral regenerate`: look for models, and write or renew a config for them.
// Declared in app/commands.hpp. Main thread, before any other thread; the work is discovery's.

#include "app/commands.hpp"
#include "app/paths.hpp"
#include "app/rescan.hpp"
#include "app/scan_flags.hpp"
#include "app/scan_watch.hpp"
#include "app/tell_server.hpp"
#include "core/quantity.hpp"
#include "discovery/text.hpp"
#include "discovery/unified_diff.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace corral {

namespace {

constexpr int exit_done = 0;
constexpr int exit_nothing_found = 1;
constexpr int exit_changes = 1;  // of --diff, as diff(1) has it
constexpr int exit_error = 2;

struct ScanArguments {
    std::shared_ptr<ScanFlags> flags = std::make_shared<ScanFlags>();
    std::string output;
    std::vector<std::string> forget;
    ServerPlace server;  ///< of regenerate: who is to reload
    bool write = false;
    bool diff = false;
    bool json = false;
    bool keep_edited = false;  ///< of older scripts: what was edited is always kept now
    bool watch = false;
    bool only_news = false;  ///< of a watch: silent where nothing has changed
};

void say(const std::string& line) {
    std::fprintf(stderr, "%s\n", line.c_str());
}

void complain(const std::string& what) {
    say("corral scan: " + what);
}

/// False when standard output does not take it, as with a full disk.
bool print(const std::string& text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (written && std::fflush(stdout) == 0) {
        return true;
    }
    complain("standard output cannot be written");
    return false;
}

/// The config in use, or where one would be looked for first. One that $CORRAL_CONFIG names is
/// meant also while it is not there yet.
std::string config_in_use(const EnvironmentLookup& environment) {
    if (const auto named = environment("CORRAL_CONFIG"); named && !named->empty()) {
        return *named;
    }
    const std::vector<std::filesystem::path> places = config_candidates(environment);
    for (const std::filesystem::path& place : places) {
        std::error_code error;
        if (std::filesystem::exists(place, error)) {
            return place.string();
        }
    }
    return places.front().string();
}

nlohmann::json changes_document(const Rescan& found) {
    const MergeReport& report = found.renewal.report;
    nlohmann::json kept = nlohmann::json::array();
    for (const KeptBlock& block : report.kept) {
        kept.push_back({{"id", block.id},
                        {"path", block.key},
                        {"moved_to", block.moved_to},
                        {"generated", block.generated}});
    }
    return {{"added", report.added},       {"updated", report.updated}, {"gone", report.gone},
            {"returned", report.returned}, {"deleted", report.deleted}, {"kept", kept}};
}

/// A document for programs; in one line where many follow each other.
std::string json_text(const Rescan& found, bool one_line) {
    nlohmann::json document{{"changed", found.changes()},
                            {"changes", changes_document(found)},
                            {"models", nlohmann::json::array()},
                            {"left_out", nlohmann::json::array()}};
    for (const WrittenModel& model : found.renewal.written.models) {
        const ModelFile& file = model.found->file;
        document["models"].push_back({{"id", model.id},
                                      {"aliases", model.aliases},
                                      {"notes", model.notes},
                                      {"path", model.path},
                                      {"parts", model.found->part_count},
                                      {"role", role_name(file.role)},
                                      {"architecture", file.architecture},
                                      {"parameters", file.parameters},
                                      {"quantization", model.found->quantization()},
                                      {"bytes", file.file_bytes},
                                      {"context_length", file.context_length}});
    }
    for (const LeftOut& item : found.left_out()) {
        document["left_out"].push_back({{"path", item.path}, {"reason", item.reason}});
    }
    // File names may be any bytes; JSON may not.
    return document.dump(one_line ? -1 : 2, ' ', false, nlohmann::json::error_handler_t::replace) +
           "\n";
}

/// An error for a person, and with --json for a program.
int fail(const ScanArguments& arguments, const Error& error) {
    complain(error.detail);
    if (arguments.json) {
        const nlohmann::json document{{"error", error.detail}};
        print(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    }
    return exit_error;
}

void tell(const Rescan& found) {
    for (const std::string& note : found.notes) {
        complain(note);
    }
    for (const LeftOut& item : found.left_out()) {
        say("left out: " + escaped(item.path) + ": " + item.reason);
    }
}

/// Writes the file and says what came of it; what goes to standard output unless JSON does.
Result<void> write_file(const ScanArguments& arguments, const Rescan& found,
                        const EnvironmentLookup& environment) {
    std::FILE* out = arguments.json || arguments.diff ? stderr : stdout;
    const auto notes = save(found, arguments.output, environment);
    if (!notes) {
        return notes.error();
    }
    for (const std::string& line : describe(found.renewal)) {
        std::fprintf(out, "%s\n", line.c_str());
    }
    for (const std::string& note : *notes) {
        complain(note);
    }
    const bool changed = found.changes() || !found.present;
    std::fprintf(out, "%s %s: %s\n", escaped(arguments.output).c_str(),
                 changed ? "written" : "is up to date",
                 counted(found.renewal.written.models.size(), "model").c_str());
    return {};
}

bool show_diff(const ScanArguments& arguments, const Rescan& found) {
    if (arguments.json) {
        return true;
    }
    if (!arguments.write && !arguments.output.empty()) {
        for (const std::string& line : describe(found.renewal)) {
            say(line);
        }
    }
    const std::string name = arguments.output.empty() ? "config.yaml" : escaped(arguments.output);
    return print(unified_diff(found.before, found.renewal.written.yaml,
                              found.present ? name : "/dev/null", name));
}

int status_of(const ScanArguments& arguments, const Rescan& found) {
    if (arguments.diff) {
        return found.changes() ? exit_changes : exit_done;
    }
    if (!found.renewal.written.models.empty()) {
        return exit_done;
    }
    say("No model was found in:");
    for (const std::string& directory : found.discovery.directories) {
        say("  " + escaped(directory));
    }
    say("Put *.gguf files into one of these, or name a directory: corral scan DIR");
    return exit_nothing_found;
}

/// One scan, its words and its exit status. `directories` become those that it looked into.
int run_scan(ScanArguments arguments, std::vector<std::string>& directories) {
    const EnvironmentLookup environment = process_environment();
    const bool named = !arguments.output.empty();
    if (!named && (arguments.write || arguments.diff)) {
        arguments.output = config_in_use(environment);
    }
    // With --diff alone nothing is written, whatever file is named.
    const bool writes = arguments.write || (named && !arguments.diff);
    const auto found = rescan({arguments.output, *arguments.flags, arguments.forget}, environment);
    if (!found) {
        return fail(arguments, found.error());
    }
    directories = found->discovery.directories;
    if (arguments.only_news && !found->changes()) {
        return found->renewal.written.models.empty() ? exit_nothing_found : exit_done;
    }
    tell(*found);
    if (arguments.diff && !show_diff(arguments, *found)) {
        return exit_error;
    }
    if (writes) {
        if (const auto done = write_file(arguments, *found, environment); !done) {
            return fail(arguments, done.error());
        }
    }
    const std::string document = arguments.json             ? json_text(*found, arguments.watch)
                                 : arguments.output.empty() ? found->renewal.written.yaml
                                                            : std::string();
    if (!print(document)) {
        return exit_error;
    }
    if (arguments.output.empty()) {  // names stay with their files for a config on a pipe, too
        if (const auto notes = save(*found, "", environment); !notes) {
            complain(notes.error().detail);
        }
    }
    return status_of(arguments, *found);
}

int run_scan(const ScanArguments& arguments) {
    std::vector<std::string> directories;
    if (!arguments.watch) {
        return run_scan(arguments, directories);
    }
    int status = exit_error;
    watch_and_scan([&](bool only_news) {
        ScanArguments once = arguments;
        once.only_news = only_news;
        status = run_scan(once, directories);
        return directories;  // after a failure those of before: it may pass
    });
    return status;
}

int run_regenerate(ScanArguments arguments) {
    const EnvironmentLookup environment = process_environment();
    arguments.write = true;
    if (arguments.output.empty()) {
        arguments.output = config_in_use(environment);
    }
    const int status = run_scan(arguments);
    if (status == exit_error) {
        return status;
    }
    const ServerAnswer answer =
        tell_server_to_reload(arguments.server, arguments.output, environment);
    say(answer.text);
    return answer.failed ? exit_error : status;
}

/// What both commands take.
void add_common(CLI::App& command, ScanArguments& arguments) {
    add_scan_flags(command, arguments.flags);
    command
        .add_option("--forget", arguments.forget,
                    "Write a model again that somebody took out: its name, alias or path, or all")
        ->type_name("NAME")
        ->allow_extra_args(false);
    command.add_flag("--diff", arguments.diff,
                     "Show what would change; exit status 1 when something would");
    command.add_flag("--json", arguments.json, "Print what was found as JSON");
}

}  // namespace

void add_scan_command(CLI::App& app, int& status) {
    const auto arguments = std::make_shared<ScanArguments>();
    CLI::App* scan =
        app.add_subcommand("scan", "Look for models (*.gguf) and write a configuration for them");
    add_common(*scan, *arguments);
    scan->add_option("-o,--output", arguments->output,
                     "Write or renew this file, keeping what was edited in it, instead of "
                     "printing");
    scan->add_flag("-w,--write", arguments->write,
                   "The same for the config in use; the file before is kept as FILE.bak");
    scan->add_flag("--watch", arguments->watch,
                   "Stay, and renew the file whenever models come and go");
    scan->add_flag("--keep-edited", arguments->keep_edited,
                   "What was edited is always kept; this is for older scripts");
    scan->footer("Example: corral scan ~/models --output config.yaml");
    scan->callback([arguments, &status] {
        if (arguments->watch && arguments->output.empty()) {
            arguments->write = true;
        }
        status = run_scan(*arguments);
    });
}

void add_regenerate_command(CLI::App& app, int& status) {
    const auto arguments = std::make_shared<ScanArguments>();
    CLI::App* command = app.add_subcommand(
        "regenerate", "Renew the config in use and have the running server reload it");
    add_common(*command, *arguments);
    command->add_option("-c,--config", arguments->output,
                        "The config (default: the one that `corral serve` would find)");
    command
        ->add_option("--server", arguments->server.address,
                     "Where the server listens: HOST:PORT, https://HOST:PORT or unix:/path "
                     "(default: as the config says, else 127.0.0.1:8091)")
        ->type_name("ADDRESS");
    command
        ->add_option("--tls-cert-file", arguments->server.certificate,
                     "The server's certificate, where the config's `tls:` does not name it")
        ->type_name("FILE");
    command->footer("Example: corral regenerate --config config.yaml");
    command->callback([arguments, &status] { status = run_regenerate(*arguments); });
}

}  // namespace corral
