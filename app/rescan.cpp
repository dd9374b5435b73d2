#include "app/rescan.hpp"

#include "app/paths.hpp"
#include "core/file.hpp"
#include "discovery/last_scan.hpp"
#include "discovery/model_index.hpp"
#include "discovery/sources.hpp"
#include "discovery/text.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t config_bytes_max = 16U << 20;      // what load_config() reads
constexpr std::size_t remembered_bytes_max = 64U << 20;  // 10,000 models take 4 MiB
constexpr std::size_t last_scan_bytes_max = 64U << 20;
constexpr std::string_view remembered_file = "scan.json";
constexpr std::string_view last_scan_file = "scan.last";

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

std::optional<std::string> state_file(std::string_view name, const EnvironmentLookup& environment) {
    const std::string directory = state_directory(environment);
    return directory.empty() ? std::nullopt : std::optional(directory + "/" + std::string(name));
}

/// Everything that is remembered; what cannot be read is told and counts as nothing.
RememberedConfigs read_remembered(const EnvironmentLookup& environment,
                                  std::vector<std::string>& notes) {
    const std::optional<std::string> path = state_file(remembered_file, environment);
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

/// Why what the command line says cannot stand in a config; empty when it can. The engine is looked
/// at where it is used.
std::string problem_of(const ScanFlags& flags) {
    std::vector<std::string> texts;
    for (const AliasRule& rule : flags.alias_rules) {
        texts.insert(texts.end(), {rule.alias, rule.pattern});
    }
    for (const DiscoveryOverride& one : flags.overrides) {
        texts.insert(texts.end(), {one.pattern, one.name});
        texts.insert(texts.end(), one.arguments.begin(), one.arguments.end());
    }
    for (const std::string& text : texts) {
        if (!is_plain_utf8(text)) {
            return escaped(text, 200) + " holds control characters or is no UTF-8";
        }
    }
    for (const std::string& directory : flags.directories) {
        const std::string path = absolute_path(directory);
        if (const std::string problem = path_problem(path); !problem.empty()) {
            return "no file below " + escaped(path, 200) + " can stand in a config: " + problem;
        }
    }
    return {};
}

/// The directories that these settings name; none: the usual ones.
std::vector<std::string> places_of(const DiscoveryConfig& settings, const RescanRequest& request,
                                   const EnvironmentLookup& environment) {
    std::vector<std::string> places = settings.directories;
    if (request.flags.directories.empty()) {
        for (std::string& place : places) {
            place = place_of(place, request.file, environment);
        }
    }
    return places;
}

/// Looks at these directories, or without any at the usual ones.
Result<void> look(Rescan& out, const std::vector<std::string>& places, const RescanRequest& request,
                  const EnvironmentLookup& environment) {
    DiscoverOptions where;
    out.by_default = places.empty();
    where.directories = out.by_default ? default_model_directories(environment) : places;
    where.index_file = index_file(environment);
    out.discovery = discover(where);
    if (const std::string& warning = out.discovery.catalogue.index_warning; !warning.empty()) {
        out.notes.push_back(warning);
    }
    std::string failures;
    const std::vector<LeftOut>& failed = out.discovery.catalogue.failed_roots;
    for (const LeftOut& root : failed) {
        const std::string told = escaped(root.path) + ": " + root.reason;
        if (!out.by_default) {
            failures += (failures.empty() ? "" : "\n") + told;
        } else if (path_exists(root.path)) {  // of the usual places those that are not there are
            out.notes.push_back(told);        // no news
            out.is_partial = true;
        }
    }
    // What is typed is a mistake. A disk of the file's that is away does not stop the others.
    const bool may_lack =
        request.flags.directories.empty() && failed.size() < out.discovery.directories.size();
    if (!failures.empty() && !may_lack) {
        return Error(Errc::io, Blame::internal, failures);
    }
    if (!failures.empty()) {
        out.is_partial = true;
        out.notes.push_back(failures +
                            "; the models there stay as they are. If it is gone for good, take it "
                            "out of `discovery:`");
    }
    return {};
}

/// Everything that decides about a scan beside the texts and the disks. Only the commonest
/// questions: those that say no more than where to look.
std::optional<Fingerprint> question_of(const RescanRequest& request,
                                       const EnvironmentLookup& environment) {
    ScanFlags only_places;
    only_places.directories = request.flags.directories;
    struct stat program {};
    if (!(request.flags == only_places) || !request.forget.empty() ||
        ::stat("/proc/self/exe", &program) != 0) {
        return std::nullopt;
    }
    Fingerprint question;
    const FileKey key = file_key(program);  // another version may answer otherwise
    for (const std::uint64_t value :
         {key.device, key.inode, key.size, static_cast<std::uint64_t>(key.modified_ns)}) {
        question.add(value);
    }
    question.add(key_of(request.file));
    for (const std::string& directory : request.flags.directories) {
        question.add(directory);
    }
    for (const char* variable : {"HOME", "CORRAL_LLAMA_SERVER"}) {
        question.add(environment(variable).value_or(""));
    }
    return question;
}

/// The whole question: with the config's text, and what is remembered.
std::uint64_t whole_question(Fingerprint question, std::string_view config,
                             const EnvironmentLookup& environment) {
    question.add(config);
    if (const auto path = state_file(remembered_file, environment); path && path_exists(*path)) {
        const Result<std::string> text = read_text_file(*path, remembered_bytes_max);
        question.add(text ? *text : std::string());
    }
    return question.value();
}

std::optional<LastScan> read_last_scan(const EnvironmentLookup& environment) {
    const auto path = state_file(last_scan_file, environment);
    if (!path || !path_exists(*path)) {
        return std::nullopt;
    }
    const Result<std::string> text = read_text_file(*path, last_scan_bytes_max);
    return text ? parse_last_scan(*text) : std::nullopt;
}

/// True when question and answer were the same the last time; `out` is complete then.
Result<bool> answer_as_before(Rescan& out, const RescanRequest& request,
                              const EnvironmentLookup& environment) {
    if (!out.question) {
        return false;
    }
    const std::optional<LastScan> last = read_last_scan(environment);
    if (!last || last->question != whole_question(*out.question, out.before, environment)) {
        return false;
    }
    out.places = last->directories;
    if (auto done = look(out, out.places, request, environment); !done) {
        return done.error();
    }
    out.disk = fingerprint_of(out.discovery, probe_gpus());
    if (out.disk != last->disk) {
        return false;
    }
    std::optional<Renewal> renewal = kept_renewal(*last, out.discovery, out.before);
    out.is_kept = renewal.has_value();
    if (out.is_kept) {
        out.renewal = std::move(*renewal);
    }
    return out.is_kept;
}

/// So that the next scan need not work out what this one has. Failures are nobody's concern.
void keep_answer(const Rescan& rescan, const std::string& file,
                 const EnvironmentLookup& environment) {
    const auto path = state_file(last_scan_file, environment);
    const std::string config = file.empty() ? std::string() : rescan.renewal.written.yaml;
    std::optional<LastScan> last = scan_to_keep(rescan.renewal, config);
    if (!path || !rescan.question || !rescan.notes.empty() || !last) {
        return;
    }
    last->question = whole_question(*rescan.question, config, environment);
    last->disk = rescan.disk;
    last->directories = rescan.places;
    static_cast<void>(write_file_atomically(*path, last_scan_text(*last)));
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
    const std::optional<std::string> path = state_file(remembered_file, environment);
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
    if (const std::string problem = problem_of(request.flags); !problem.empty()) {
        return Error(Errc::invalid_config, Blame::internal, problem);
    }
    out.question = question_of(request, environment);
    const Result<bool> is_answered = answer_as_before(out, request, environment);
    if (!is_answered) {
        return is_answered.error();
    }
    if (*is_answered) {
        return out;
    }
    // With mistakes in it there is no config: renew_config() tells them.
    const RenewableLoad loaded = load_renewable(out.before, request.file, environment);
    const std::optional<Config>& config = loaded.load.config;
    RenewOptions how;
    how.loaded = &loaded;
    how.write.settings = settle(config ? config->discovery : DiscoveryConfig(), request.flags);
    const std::vector<std::string> places = places_of(how.write.settings, request, environment);
    if (out.discovery.directories.empty() || places != out.places) {  // else it has been done
        out.places = places;
        if (auto done = look(out, out.places, request, environment); !done) {
            return done.error();
        }
    }
    if (!request.flags.directories.empty()) {  // in the file they are read from elsewhere
        how.write.settings.directories = out.discovery.directories;
    }
    how.write.engine = choose_engine(how.write.settings, config, environment);
    how.write.gpus = probe_gpus();
    out.disk = fingerprint_of(out.discovery, how.write.gpus);
    how.existing = out.before;
    how.origin = request.file;
    RememberedConfigs remembered = read_remembered(environment, out.notes);
    how.remembered = std::move(remembered[key_of(request.file)]);
    how.forget = request.forget;
    how.today = today();
    how.environment = environment;
    how.comment_out = !out.is_partial;
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
    if (rescan.is_kept) {
        return notes;
    }
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
    if (notes.empty()) {
        keep_answer(rescan, file, environment);
    }
    return notes;
}

}  // namespace corral
