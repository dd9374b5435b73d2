// `corral check`: reads configs and points at every mistake. Main thread; never starts anything.
#include "app/commands.hpp"
#include "app/paths.hpp"
#include "core/config_load.hpp"
#include "core/file.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace corral {
namespace {

constexpr std::size_t config_bytes_max = 16U << 20U;

struct CheckOptions {
    std::vector<std::string> files;
    bool no_strict = false;
    bool json = false;
};

/// What came of one file.
struct Checked {
    std::string file;
    bool readable = false;
    std::size_t models = 0;
    std::vector<Diagnostic> diagnostics;
};

std::size_t count(const std::vector<Diagnostic>& list, Severity severity) {
    return static_cast<std::size_t>(std::count_if(
        list.begin(), list.end(), [&](const Diagnostic& d) { return d.severity == severity; }));
}

Checked check_file(const std::string& file) {
    const bool is_stdin = file == "-";
    Checked out;
    out.file = is_stdin ? "(standard input)" : file;
    auto text = is_stdin ? read_descriptor(STDIN_FILENO, out.file, config_bytes_max)
                         : read_text_file(file, config_bytes_max);
    if (!text) {
        Diagnostic unreadable;
        unreadable.message = text.error().detail;
        out.diagnostics.push_back(std::move(unreadable));
        return out;
    }
    out.readable = true;
    auto loaded = load_config(*text, out.file, process_environment());
    out.models = loaded.config ? loaded.config->models.size() : 0;
    out.diagnostics = std::move(loaded.diagnostics);
    if (!is_stdin && writable_by_others(file)) {
        Diagnostic open_to_others;
        open_to_others.severity = Severity::warning;
        open_to_others.file = file;
        open_to_others.message =
            "others than its owner may write this file, and so run commands as you";
        open_to_others.hint = "chmod go-w " + file;
        out.diagnostics.insert(out.diagnostics.begin(), std::move(open_to_others));
    }
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

std::string plural(std::size_t n, const std::string& word) {
    return std::to_string(n) + " " + word + (n == 1 ? "" : "s");
}

void print(const Checked& checked, int status) {
    const bool colour = ::isatty(STDERR_FILENO) != 0;
    for (const Diagnostic& diagnostic : checked.diagnostics) {
        std::fprintf(stderr, "%s\n", format_diagnostic(diagnostic, colour).c_str());
    }
    const auto errors = count(checked.diagnostics, Severity::error);
    const auto warnings = count(checked.diagnostics, Severity::warning);
    std::string summary = checked.file + ": ";
    if (!checked.readable) {
        summary += "unreadable";
    } else if (errors == 0) {
        summary += (status == 0 ? "ok, " : "") + plural(checked.models, "model");
    } else {
        summary += plural(errors, "error");
    }
    if (warnings > 0) {
        summary += ", " + plural(warnings, "warning");
    }
    std::fprintf(stdout, "%s\n", summary.c_str());
}

nlohmann::json to_json(const Checked& checked, int status) {
    nlohmann::json list = nlohmann::json::array();
    for (const Diagnostic& diagnostic : checked.diagnostics) {
        list.push_back({{"severity", severity_name(diagnostic.severity)},
                        {"line", diagnostic.line},
                        {"column", diagnostic.column},
                        {"message", diagnostic.message},
                        {"hint", diagnostic.hint}});
    }
    return {{"file", checked.file},
            {"status", status},
            {"models", checked.models},
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

int check(CheckOptions options) {
    if (options.files.empty()) {
        options.files = usual_file();
    }
    if (options.files.empty()) {
        std::fprintf(stderr,
                     "corral check: no file named, and none in the usual places. What next: "
                     "`corral check FILE`, or `corral scan` to make one\n");
        return 2;
    }
    int worst = 0;
    nlohmann::json results = nlohmann::json::array();
    for (const std::string& file : options.files) {
        const Checked checked = check_file(file);
        const int status = status_of(checked, !options.no_strict);
        worst = std::max(worst, status);
        if (options.json) {
            results.push_back(to_json(checked, status));
        } else {
            print(checked, status);
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
    command->add_flag("--no-strict", options->no_strict, "Accept warnings, as serve does");
    command->add_flag("--json", options->json, "Print the result as JSON on standard output");
    command->footer("Exit status: 0 clean, 1 mistakes, 2 a file cannot be read.");
    command->callback([options, &status] { status = check(*options); });
}

}  // namespace corral
