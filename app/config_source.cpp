#include "app/config_source.hpp"

#include "app/paths.hpp"
#include "app/rescan.hpp"
#include "app/terminal.hpp"
#include "core/file.hpp"
#include "core/log.hpp"
#include "core/quantity.hpp"

#include <cstdio>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

/// Turns texts into the config; `check` is the command that shows their mistakes again.
Result<std::shared_ptr<const Config>> read(const std::vector<ConfigText>& files,
                                           const std::string& check,
                                           std::vector<Diagnostic>& diagnostics) {
    auto loaded = load_config_here(files, process_environment());
    diagnostics = std::move(loaded.diagnostics);
    if (!loaded.config) {
        std::string names;
        for (const auto& file : files) {
            names += (names.empty() ? "" : ", ") + file.name;
        }
        return Error(Errc::invalid_config, Blame::internal,
                     "failed to load config " + names + ": the mistakes are listed above; `" +
                         check + "` shows them again");
    }
    return std::make_shared<const Config>(std::move(*loaded.config));
}

std::string check_command(const ConfigPlaces& places) {
    return "corral check" + (places.file.empty() ? "" : " " + places.file) +
           (places.directory.empty() ? "" : " --config-dir " + places.directory);
}

/// A config holds commands, and a directory of configs takes new ones.
void warn_if_writable(const std::string& path) {
    if (writable_by_others(path)) {
        spdlog::warn(
            "others may write {}: it holds commands, so whoever writes it runs them "
            "(chmod go-w)",
            log::clean(path));
    }
}

/// The first of the usual places that holds a file; empty when none does.
std::string usual_file() {
    for (const auto& candidate : config_candidates(process_environment())) {
        std::error_code ec;
        if (std::filesystem::exists(candidate, ec)) {
            return candidate.string();
        }
    }
    return {};
}

/// No file anywhere: what `corral scan` would write, without writing it.
Result<std::shared_ptr<const Config>> scan_instead(std::vector<Diagnostic>& diagnostics) {
    const auto environment = process_environment();
    const auto found = rescan({}, environment);
    if (!found) {
        return found.error();
    }
    // Names stay with their files from one start to the next; that they cannot is no reason to
    // stop.
    static_cast<void>(save(*found, "", environment));
    auto config = read({{"(scan of the model directories)", found->renewal.written.yaml}},
                       "corral scan", diagnostics);
    if (config && (*config)->models.empty()) {
        std::string where;
        for (const auto& directory : found->discovery.directories) {
            where += (where.empty() ? "" : ", ") + directory;
        }
        spdlog::warn(
            "no config file and no models found in {}. What next: put .gguf files there and "
            "restart, or run `corral scan DIR --output config.yaml` and "
            "`corral serve --config config.yaml`",
            where);
    } else if (config) {
        spdlog::info(
            "no config file: serving {} found by a scan. Keep it with "
            "`corral scan --output FILE`",
            counted((*config)->models.size(), "model"));
    }
    return config;
}

}  // namespace

Result<std::shared_ptr<const Config>> ConfigSource::load() {
    inputs_.clear();
    diagnostics_.clear();
    ConfigPlaces places = named_;
    file_ = named_.file;
    if (places.file.empty() && places.directory.empty()) {
        places.file = file_ = usual_file();
        if (places.file.empty()) {
            return scan_instead(diagnostics_);
        }
    }
    if (!places.directory.empty()) {
        inputs_.emplace_back(places.directory);
        warn_if_writable(places.directory);
    }
    const auto paths = list_config_files(places);
    if (!paths) {
        if (!places.file.empty()) {
            inputs_.emplace_back(places.file);
        }
        return paths.error();
    }
    inputs_.insert(inputs_.end(), paths->begin(), paths->end());
    for (const auto& path : *paths) {
        warn_if_writable(path);
    }
    const auto files = read_config_files(*paths);
    return files ? read(*files, check_command(places), diagnostics_) : files.error();
}

Result<std::string> ConfigSource::renewable_file() const {
    if (file_.empty() && !named_.directory.empty()) {
        return Error(Errc::unsupported, Blame::internal,
                     "only a file can be renewed: start Corral with --config FILE, beside "
                     "--config-dir");
    }
    return file_;
}

void ConfigSource::print_diagnostics() const {
    const bool colour = wants_colour(STDERR_FILENO, process_environment());
    for (const auto& diagnostic : diagnostics_) {
        std::fprintf(stderr, "%s\n", format_diagnostic(diagnostic, colour).c_str());
    }
}

}  // namespace corral
