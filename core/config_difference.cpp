#include "core/config_difference.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace corral {
namespace {

constexpr std::size_t names_shown_max = 10;
constexpr std::string_view default_group = "(default)";

template <auto Member>
bool differs(const Config& before, const Config& after) {
    return before.*Member != after.*Member;
}

/// The groups as somebody wrote them: who is in "(default)" follows from the models.
std::vector<GroupConfig> written_groups(const Config& config) {
    std::vector<GroupConfig> out = config.groups;
    for (GroupConfig& group : out) {
        if (group.id == default_group) {
            group.members.clear();
        }
    }
    return out;
}

bool groups_differ(const Config& before, const Config& after) {
    return written_groups(before) != written_groups(after);
}

/// One key outside of `models`. A member of Config that is missing here is found by a test.
struct Setting {
    std::string_view key;
    bool (*differs)(const Config&, const Config&);
    bool at_start = false;  ///< Corral reads it only when it starts
};

constexpr std::array settings{
    Setting{"logLevel", differs<&Config::log_level>},
    Setting{"logTimeFormat", differs<&Config::log_time_format>, true},
    Setting{"logToStdout", differs<&Config::log_to_stdout>},
    Setting{"logs", differs<&Config::logs>},
    Setting{"listen", differs<&Config::listen>, true},
    Setting{"tls", differs<&Config::tls>, true},
    Setting{"startPort", differs<&Config::start_port>},
    Setting{"includeAliasesInList", differs<&Config::include_aliases_in_list>},
    Setting{"apiKeys", differs<&Config::api_keys>},
    Setting{"allowedHosts", differs<&Config::allowed_hosts>},
    Setting{"allowedOrigins", differs<&Config::allowed_origins>},
    Setting{"trustedProxies", differs<&Config::trusted_proxies>},
    Setting{"h2cUpgrade", differs<&Config::h2c_upgrade>},
    Setting{"hooks.on_startup.preload", differs<&Config::preload>, true},
    Setting{"upstream.ignorePaths", differs<&Config::ignore_paths>},
    Setting{"routing.router.use", differs<&Config::router>},
    Setting{"groups", groups_differ},
    Setting{"matrix", differs<&Config::matrix>},
    Setting{"profiles", differs<&Config::profiles>},
    Setting{"selectors", differs<&Config::selectors>},
    Setting{"peers", differs<&Config::peers>},
    Setting{"captureBuffer", differs<&Config::capture_bytes_max>},
    Setting{"metricsMaxInMemory", differs<&Config::activity_rows_max>},
    Setting{"store.path", differs<&Config::store_path>, true},
    Setting{"performance.disabled", differs<&Config::performance_disabled>},
    Setting{"performance.every", differs<&Config::performance_every>},
    Setting{"ui.activity.session_id", differs<&Config::session_id_fields>},
    Setting{"limits", differs<&Config::limits>},
    Setting{"discovery", differs<&Config::discovery>},
};

void compare_models(const Config& before, const Config& after, ConfigDifference& out) {
    for (const ModelConfig& model : before.models) {
        if (after.find_id(model.id) == nullptr) {
            out.removed.push_back(model.id.str());
        }
    }
    for (const ModelConfig& model : after.models) {
        const ModelConfig* was = before.find_id(model.id);
        if (was == nullptr) {
            out.added.push_back(model.id.str());
            continue;
        }
        if (!same_process(*was, model)) {
            out.restarted.push_back(model.id.str());
            continue;
        }
        ModelConfig same_port = *was;
        same_port.port = model.port;
        if (same_port != model) {
            out.updated.push_back(model.id.str());
        }
    }
}

void append(std::string& out, std::string_view what, const std::vector<std::string>& names) {
    if (names.empty()) {
        return;
    }
    out += out.empty() ? "" : "; ";
    out += what;
    for (std::size_t i = 0; i < std::min(names.size(), names_shown_max); ++i) {
        out += (i == 0 ? " " : ", ") + names[i];
    }
    if (names.size() > names_shown_max) {
        out += " and " + std::to_string(names.size() - names_shown_max) + " more";
    }
}

}  // namespace

bool ConfigDifference::empty() const noexcept {
    return added.empty() && removed.empty() && restarted.empty() && updated.empty() &&
           settings.empty();
}

ConfigDifference difference(const Config& before, const Config& after) {
    ConfigDifference out;
    compare_models(before, after, out);
    for (const Setting& setting : settings) {
        if (setting.differs(before, after)) {
            out.settings.emplace_back(setting.key);
            if (setting.at_start) {
                out.needs_restart.emplace_back(setting.key);
            }
        }
    }
    return out;
}

bool same_process(const ModelConfig& before, const ModelConfig& after) {
    return before.argv == after.argv && before.env == after.env && before.proxy == after.proxy &&
           before.limits.memory == after.limits.memory && before.limits.nice == after.limits.nice &&
           before.limits.oom_score_adj == after.limits.oom_score_adj;
}

std::string describe(const ConfigDifference& difference) {
    std::string out;
    append(out, "added", difference.added);
    append(out, "removed", difference.removed);
    append(out, "restarts", difference.restarted);
    append(out, "updated", difference.updated);
    append(out, "settings", difference.settings);
    append(out, "not before Corral is restarted:", difference.needs_restart);
    return out.empty() ? "nothing changed" : out;
}

}  // namespace corral
