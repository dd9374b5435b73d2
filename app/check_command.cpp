// `corral check`: reads configs and points at every mistake. Main thread; never starts anything.
#include "app/commands.hpp"
#include "app/paths.hpp"
#include "app/terminal.hpp"
#include "core/config_dump.hpp"
#include "core/config_files.hpp"
#include "core/file.hpp"
#include "core/quantity.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace corral {
namespace {

constexpr std::size_t config_bytes_max = 16U << 20U;

struct CheckOptions {
    std::vector<std::string> files;
    std::string directory;
    bool no_strict = false;
    bool json = false;
    std::string dump;  ///< yaml, json, or empty for none
};

/// What came of one config: a file, or several that are one.
struct Checked {
    std::string file;
    bool readable = false;
    std::optional<Config> config;
    std::vector<Diagnostic> diagnostics;

    [[nodiscard]] std::size_t models() const { return config ? config->models.size() : 0; }
};

std::size_t count(const std::vector<Diagnostic>& list, Severity severity) {
    return static_cast<std::size_t>(std::count_if(
        list.begin(), list.end(), [&](const Diagnostic& d) { return d.severity == severity; }));
}

Diagnostic problem(Severity severity, std::string file, std::string message, std::string hint) {
    Diagnostic out;
    out.severity = severity;
    out.file = std::move(file);
    out.message = std::move(message);
    out.hint = std::move(hint);
    return out;
}

/// Why nothing was read.
void cannot_read(Checked& out, const Error& error) {
    out.readable = error.is(Errc::invalid_config);  // the words of the command, not the disk
    out.diagnostics.push_back(problem(Severity::error, "", error.detail, ""));
}

void warn_if_writable(Checked& out, const std::string& path) {
    if (writable_by_others(path)) {
        out.diagnostics.push_back(
            problem(Severity::warning, path,
                    "others than its owner may write here, and so run commands as you",
                    "chmod go-w " + path));
    }
}

void check_texts(Checked& out, const std::vector<ConfigText>& texts) {
    out.readable = true;
    auto loaded = load_config_here(texts, process_environment());
    out.config = std::move(loaded.config);
    std::move(loaded.diagnostics.begin(), loaded.diagnostics.end(),
              std::back_inserter(out.diagnostics));
}

Checked check_standard_input() {
    Checked out;
    out.file = "(standard input)";
    auto text = read_descriptor(STDIN_FILENO, out.file, config_bytes_max);
    if (text) {
        check_texts(out, {{out.file, std::move(*text)}});
    } else {
        cannot_read(out, text.error());
    }
    return out;
}

Checked check_files(const ConfigPlaces& places) {
    Checked out;
    out.file = places.file + (places.file.empty() || places.directory.empty() ? "" : " and ") +
               places.directory;
    const auto paths = list_config_files(places);
    if (!paths) {
        cannot_read(out, paths.error());
        return out;
    }
    const auto texts = read_config_files(*paths);
    if (!texts) {
        cannot_read(out, texts.error());
        return out;
    }
    if (!places.directory.empty()) {
        warn_if_writable(out, places.directory);
    }
    for (const std::string& path : *paths) {
        warn_if_writable(out, path);
    }
    check_texts(out, *texts);
    return out;
}

/// 0 clean, 1 mistakes, 2 unreadable.
int status_of(const Checked& checked, bool strict) {
    if (!checked.readable) {
        return 2;
    }
    const bool bad = has_errors(checked.diagnostics) ||
                     (strict && count(checked.diagnostics, Severity::warning) > 0);
    return bad ? 1 : 0;
}

/// Diagnostics to standard error; the line that sums them up to `summary_to`.
void print(const Checked& checked, int status, std::FILE* summary_to) {
    const bool colour = wants_colour(STDERR_FILENO, process_environment());
    for (const Diagnostic& diagnostic : checked.diagnostics) {
        std::fprintf(stderr, "%s\n", format_diagnostic(diagnostic, colour).c_str());
    }
    const auto errors = count(checked.diagnostics, Severity::error);
    const auto warnings = count(checked.diagnostics, Severity::warning);
    std::string summary = checked.file + ": ";
    if (!checked.readable) {
        summary += "unreadable";
    } else if (errors == 0) {
        summary += (status == 0 ? "ok, " : "") + counted(checked.models(), "model");
    } else {
        summary += counted(errors, "error");
    }
    if (warnings > 0) {
        summary += ", " + counted(warnings, "warning");
    }
    std::fprintf(summary_to, "%s\n", summary.c_str());
}

/// The whole config on standard output, which holds nothing else; of several files each in a
/// document of its own.
void print_dump(const Config& config, const std::string& format, bool first) {
    const std::string text = format == "yaml" ? (first ? "" : "---\n") + dump_config_yaml(config)
                                              : dump_config_json(config);
    std::fwrite(text.data(), 1, text.size(), stdout);
}

nlohmann::json to_json(const Checked& checked, int status) {
    nlohmann::json list = nlohmann::json::array();
    for (const Diagnostic& diagnostic : checked.diagnostics) {
        list.push_back({{"severity", severity_name(diagnostic.severity)},
                        {"file", diagnostic.file},
                        {"line", diagnostic.line},
                        {"column", diagnostic.column},
                        {"message", diagnostic.message},
                        {"hint", diagnostic.hint}});
    }
    return {{"file", checked.file},
            {"status", status},
            {"models", checked.models()},
            {"diagnostics", std::move(list)}};
}

/// The file that `corral serve` would read; empty when there is none.
std::vector<std::string> usual_file() {
    for (const auto& candidate : config_candidates(process_environment())) {
        std::error_code ec;
        if (std::filesystem::exists(candidate, ec)) {
            return {candidate.string()};
        }
    }
    return {};
}

/// False, and says why, when the words of the command make no sense together.
bool find_files(CheckOptions& options) {
    if (!options.directory.empty()) {
        const bool one = options.files.size() < 2;
        if (!one || (!options.files.empty() && options.files.front() == "-")) {
            std::fprintf(stderr,
                         "corral check: --config-dir goes with one FILE, which is --config\n");
            return false;
        }
        options.files.resize(1);
        return true;
    }
    if (options.files.empty()) {
        options.files = usual_file();
    }
    if (options.files.empty()) {
        std::fprintf(stderr,
                     "corral check: no file named, and none in the usual places. What next: "
                     "`corral check FILE`, or `corral scan` to make one\n");
    }
    return !options.files.empty();
}

int check(CheckOptions options) {
    if (!find_files(options)) {
        return 2;
    }
    int worst = 0;
    bool first_dump = true;
    nlohmann::json results = nlohmann::json::array();
    for (const std::string& file : options.files) {
        const Checked checked =
            file == "-" ? check_standard_input() : check_files({file, options.directory});
        const int status = status_of(checked, !options.no_strict);
        worst = std::max(worst, status);
        if (options.json) {
            results.push_back(to_json(checked, status));
        } else {
            print(checked, status, options.dump.empty() ? stdout : stderr);
        }
        if (!options.dump.empty() && checked.config) {
            print_dump(*checked.config, options.dump, std::exchange(first_dump, false));
        }
    }
    if (options.json) {
        const auto text = results.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
        std::fprintf(stdout, "%s\n", text.c_str());
    }
    return worst;
}

}  // namespace

void add_check_command(CLI::App& app, int& status) {
    auto options = std::make_shared<CheckOptions>();
    CLI::App* command = app.add_subcommand("check", "Read configs and point at every mistake");
    command->add_option("file", options->files,
                        "Files to check, - for standard input (default: the one serve would read)");
    command->add_option("--config-dir", options->directory,
                        "Check the files of this directory as one config, after FILE if named");
    command->add_flag("--no-strict", options->no_strict, "Accept warnings, as serve does");
    CLI::Option* json =
        command->add_flag("--json", options->json, "Print the result as JSON on standard output");
    command
        ->add_option("--dump", options->dump,
                     "Print the config with macros expanded and defaults filled in, without "
                     "secrets")
        ->check(CLI::IsMember({"yaml", "json"}))
        ->excludes(json);
    command->footer("Exit status: 0 clean, 1 mistakes, 2 a file cannot be read.");
    command->callback([options, &status] { status = check(*options); });
}

}  // namespace corral
