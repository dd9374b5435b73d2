#include "app/rescan.hpp"

#include "app/paths.hpp"
#include "core/file.hpp"
#include "core/quantity.hpp"
#include "discovery/sources.hpp"
#include "discovery/text.hpp"
#include "discovery/unified_diff.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t config_bytes_max = 16U << 20;      // what load_config() reads
constexpr std::size_t remembered_bytes_max = 64U << 20;  // 10,000 models take 4 MiB
constexpr std::string_view remembered_file = "scan.json";

std::string today() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::localtime_r(&now, &parts);
    std::array<char, 16> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
    return {text.data(), length};
}

bool path_exists(const std::string& path) {
    std::error_code error;
    return fs::exists(path, error);
}

/// How the state file knows a config: by its real path, so that a link to it is the same.
std::string key_of(const std::string& file) {
    if (file.empty()) {
        return {};
    }
    std::error_code error;
    const fs::path path = fs::weakly_canonical(fs::absolute(file, error), error);
    return error ? file : path.string();
}

std::optional<std::string> remembered_path(const EnvironmentLookup& environment) {
    const std::string directory = state_directory(environment);
    return directory.empty() ? std::nullopt
                             : std::optional(directory + "/" + std::string(remembered_file));
}

/// Everything that is remembered; what cannot be read is told and counts as nothing.
RememberedConfigs read_remembered(const EnvironmentLookup& environment,
                                  std::vector<std::string>& notes) {
    const std::optional<std::string> path = remembered_path(environment);
    if (!path || !path_exists(*path)) {
        return {};
    }
    const Result<std::string> text = read_text_file(*path, remembered_bytes_max);
    if (!text) {
        notes.push_back(text.error().detail);
        return {};
    }
    Result<RememberedConfigs> configs = parse_remembered(*text);
    if (!configs) {
        notes.push_back(escaped(*path) + ": " + configs.error().detail);
        return {};
    }
    return std::move(*configs);
}

/// The file's settings with what the command line says in their place.
DiscoveryConfig settle(DiscoveryConfig settings, const ScanFlags& flags) {
    if (!flags.directories.empty()) {
        settings.directories = flags.directories;
    }
    if (!flags.engine.empty()) {
        settings.engine = flags.engine;
    }
    settings.ttl = flags.ttl.value_or(settings.ttl);
    settings.naming = flags.naming.value_or(settings.naming);
    settings.openai_aliases = flags.openai_aliases.value_or(settings.openai_aliases);
    settings.exclusive_group = flags.exclusive_group.value_or(settings.exclusive_group);
    settings.watch = flags.watch.value_or(settings.watch);
    settings.alias_rules.insert(settings.alias_rules.end(), flags.alias_rules.begin(),
                                flags.alias_rules.end());
    settings.overrides.insert(settings.overrides.end(), flags.overrides.begin(),
                              flags.overrides.end());
    return settings;
}

/// `~/models` in the home; a relative one of the file's as seen from the file.
std::string place_of(const std::string& directory, const std::string& file,
                     const EnvironmentLookup& environment) {
    const std::optional<std::string> home = environment("HOME");
    if ((directory == "~" || directory.starts_with("~/")) && home) {
        return *home + directory.substr(1);
    }
    if (!file.empty() && !directory.starts_with('/')) {
        return (fs::path(absolute_path(file)).parent_path() / directory).string();
    }
    return directory;
}

/// The program of the commands that are there: a file goes on with the engine that it has.
std::string engine_of(const std::optional<Config>& config) {
    std::map<std::string, int> uses;
    if (config) {
        for (const ModelConfig& model : config->models) {
            if (!model_file_of(model).empty()) {
                ++uses[model.argv.front()];
            }
        }
    }
    const auto most = std::max_element(
        uses.begin(), uses.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == uses.end() ? std::string() : most->first;
}

std::string choose_engine(const DiscoveryConfig& settings, const std::optional<Config>& config,
                          const EnvironmentLookup& environment) {
    if (!settings.engine.empty()) {
        return settings.engine;
    }
    if (const auto named = environment("CORRAL_LLAMA_SERVER"); named && !named->empty()) {
        return *named;
    }
    const std::string used = engine_of(config);
    return used.empty() ? "llama-server" : used;
}

Result<void> look(Rescan& out, const DiscoveryConfig& settings, const RescanRequest& request,
                  const EnvironmentLookup& environment) {
    DiscoverOptions where;
    out.by_default = settings.directories.empty();
    if (out.by_default) {
        where.directories = default_model_directories(environment);
    }
    const bool of_file = request.flags.directories.empty();
    for (const std::string& directory : settings.directories) {
        where.directories.push_back(of_file ? place_of(directory, request.file, environment)
                                            : directory);
    }
    where.index_file = index_file(environment);
    out.discovery = discover(where);
    if (const std::string& warning = out.discovery.catalogue.index_warning; !warning.empty()) {
        out.notes.push_back(warning);
    }
    std::string failures;
    for (const LeftOut& root : out.discovery.catalogue.failed_roots) {
        const std::string told = escaped(root.path) + ": " + root.reason;
        if (!out.by_default) {
            failures += (failures.empty() ? "" : "\n") + told;
        } else if (path_exists(root.path)) {
            out.notes.push_back(told);  // of the usual places those that are not there are no news
        }
    }
    if (!failures.empty()) {
        return Error(Errc::io, Blame::internal, failures);
    }
    return {};
}

Result<void> make_backup(const std::string& file) {
    // The copy has the mode of the file from its first byte on: there may be keys in it.
    std::error_code error;
    const std::string copy = file + ".bak";
    const std::string fresh = copy + ".new";
    fs::remove(fresh, error);
    fs::copy_file(file, fresh, error);
    if (!error) {
        fs::rename(fresh, copy, error);
    }
    if (error) {
        return Error(Errc::io, Blame::internal,
                     "no backup " + escaped(copy) + " could be made: " + error.message());
    }
    return {};
}

Result<void> remember(const Rescan& rescan, const std::string& file,
                      const EnvironmentLookup& environment, std::vector<std::string>& notes) {
    const std::optional<std::string> path = remembered_path(environment);
    if (!path) {
        notes.emplace_back(
            "there is no state directory, so a block that you take out will come "
            "back");
        return {};
    }
    std::vector<std::string> ignored;  // read before, and told then
    RememberedConfigs configs = read_remembered(environment, ignored);
    Remembered& entry = configs[key_of(file)];
    if (entry == rescan.renewal.remembered) {
        return {};
    }
    entry = rescan.renewal.remembered;
    std::error_code error;  // writing tells it better
    fs::create_directories(fs::path(*path).parent_path(), error);
    return write_file_atomically(*path, remembered_text(configs));
}

}  // namespace

std::vector<LeftOut> Rescan::left_out() const {
    std::vector<LeftOut> out = discovery.catalogue.left_out;
    out.insert(out.end(), renewal.written.left_out.begin(), renewal.written.left_out.end());
    return out;
}

Result<Rescan> rescan(const RescanRequest& request, const EnvironmentLookup& environment) {
    Rescan out;
    out.present = !request.file.empty() && path_exists(request.file);
    if (out.present) {
        Result<std::string> text = read_text_file(request.file, config_bytes_max);
        if (!text) {
            return text.error();
        }
        out.before = std::move(*text);
    }
    // With mistakes in it there is no config: renew_config() tells them.
    const std::optional<Config> config =
        load_renewable(out.before, request.file, environment).config;
    RenewOptions how;
    how.write.settings = settle(config ? config->discovery : DiscoveryConfig(), request.flags);
    if (auto done = look(out, how.write.settings, request, environment); !done) {
        return done.error();
    }
    if (!request.flags.directories.empty()) {  // in the file they are read from elsewhere
        how.write.settings.directories = out.discovery.directories;
    }
    how.write.engine = choose_engine(how.write.settings, config, environment);
    how.write.gpus = probe_gpus();
    how.existing = out.before;
    how.origin = request.file;
    RememberedConfigs remembered = read_remembered(environment, out.notes);
    how.remembered = std::move(remembered[key_of(request.file)]);
    how.forget = request.forget;
    how.today = today();
    how.environment = environment;
    how.exists = path_exists;
    how.identify = identify;
    Result<Renewal> renewal = renew_config(out.discovery, how);
    if (!renewal) {
        return renewal.error();
    }
    out.renewal = std::move(*renewal);
    for (const std::string& name : out.renewal.not_forgotten) {
        out.notes.push_back("nothing that was taken out is called " + escaped(name, 200));
    }
    return out;
}

Result<std::vector<std::string>> save(const Rescan& rescan, const std::string& file,
                                      const EnvironmentLookup& environment) {
    std::vector<std::string> notes;
    if (!file.empty() && (rescan.changes() || !rescan.present)) {
        std::error_code error;  // writing tells it better
        if (const fs::path parent = fs::path(file).parent_path(); !parent.empty()) {
            fs::create_directories(parent, error);
        }
        if (rescan.present) {
            const Result<std::string> now = read_text_file(file, config_bytes_max);
            if (!now || *now != rescan.before) {
                return Error(Errc::io, Blame::internal,
                             escaped(file) +
                                 " has changed while the directories were scanned; "
                                 "scan again");
            }
            if (const auto done = make_backup(file); !done) {
                return done.error();
            }
        }
        if (const auto done = write_file_atomically(file, rescan.renewal.written.yaml); !done) {
            return done.error();
        }
    }
    // The file stands by now: what cannot be remembered is no reason to say that it does not.
    if (const auto done = remember(rescan, file, environment, notes); !done) {
        notes.push_back(done.error().detail);
    }
    return notes;
}

std::vector<std::string> describe(const Renewal& renewal) {
    std::map<std::string, std::string> paths;
    for (const WrittenModel& model : renewal.written.models) {
        paths.emplace(model.id, "  " + escaped(model.path));
    }
    std::vector<std::string> lines;
    const auto list = [&](const std::vector<std::string>& ids, const char* mark,
                          std::string_view what) {
        for (const std::string& id : ids) {
            const auto path = paths.find(id);
            lines.push_back(std::string(mark) + escaped(id) +
                            (path != paths.end() ? path->second : "") + std::string(what));
        }
    };
    const MergeReport& report = renewal.report;
    list(report.added, "+ ", "");
    list(report.returned, "+ ", "  (back again)");
    list(report.updated, "~ ", "");
    list(report.gone, "- ", "  (its file has gone: commented out)");
    list(report.absent, "! ", "  (its file has gone, but the config names the model elsewhere)");
    list(report.deleted, "  ",
         " was taken out by hand and stays out; --forget NAME brings it back");
    for (const KeptBlock& kept : report.kept) {
        lines.push_back(
            "  " + escaped(kept.id) + " was changed by hand and stays as it is" +
            (kept.moved_to.empty() ? "" : "; its file is now " + escaped(kept.moved_to)) +
            (kept.generated.empty() ? "" : "; scan would change this:"));
        const std::string changes =
            kept.generated.empty() ? "" : line_changes(kept.written, kept.generated);
        for (std::size_t at = 0; at < changes.size();) {
            const std::size_t end = std::min(changes.find('\n', at), changes.size());
            lines.push_back("    " + escaped(changes.substr(at, end - at), 1000));
            at = end + 1;
        }
    }
    if (report.group_changed) {
        lines.push_back("~ the group follows " + counted(renewal.written.models.size(), "model"));
    }
    return lines;
}

}  // namespace corral
