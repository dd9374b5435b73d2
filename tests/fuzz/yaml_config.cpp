// A config of any bytes never crashes the loader; a config comes out exactly when no error was
// reported; what comes out keeps the promises that the other rooms rely on; loading it twice gives
// the same; and no value of the environment stands in a quoted line. A form feed, which no file may
// hold, ends one file and begins the next: several files are one config.

#include "core/config_load.hpp"
#include "core/load/param_path.hpp"
#include "core/path_patterns.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace corral;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_settings(const std::vector<ParamSetting>& settings) {
    require(std::is_sorted(settings.begin(), settings.end(),
                           [](const auto& a, const auto& b) { return a.path < b.path; }));
    for (const auto& setting : settings) {
        require(load::param_path_mistake(setting.path).empty());
        require(!load::is_protected_path(setting.path));
        require(nlohmann::json::accept(setting.json));
    }
}

void check_filters(const Filters& filters) {
    require(std::is_sorted(filters.strip_params.begin(), filters.strip_params.end()));
    for (const auto& path : filters.strip_params) {
        require(load::param_path_mistake(path).empty() && !load::is_protected_path(path));
    }
    check_settings(filters.set_params);
    for (const auto& [id, settings] : filters.set_params_by_id) {
        require(!settings.empty());
        check_settings(settings);
    }
}

void check_metadata(const std::string& metadata) {
    require(metadata.empty() || nlohmann::json::parse(metadata).is_object());
}

bool leads_to_model(const Config& config, const std::string& name) {
    return config.find(name) != nullptr || config.find_peer_model(name).peer != nullptr;
}

/// What stands for models stands for some that there are.
void check_names(const Config& config) {
    for (const auto& peer : config.peers) {
        require(!peer.proxy.empty());
        check_filters(peer.filters);
        for (const auto& model : peer.models) {
            require(config.find_peer_model(peer.id + "/" + model).peer == &peer);
        }
    }
    for (const auto& selector : config.selectors) {
        require(!selector.targets.empty() && selector.spillover >= 1);
        check_metadata(selector.metadata);
        for (const auto& target : selector.targets) {
            require(leads_to_model(config, target));
        }
    }
    for (const auto& profile : config.profiles) {
        require(!profile.pins.empty());
        for (const auto& [name, target] : profile.pins) {
            require(target.empty() || leads_to_model(config, target) ||
                    config.find_selector(target) != nullptr);
        }
    }
}

void check_model(const Config& config, const ModelConfig& model) {
    require(!model.id.empty());
    require(config.find_id(model.id) == &model && config.find(model.id.str()) == &model);
    require((model.port != 0) == (model.cmd.find("${PORT}") != std::string::npos));
    require(model.ttl.count() >= 0 && model.unload_timeout.count() > 0 &&
            model.health_check_timeout.count() > 0);
    require(model.check_endpoint == "none" || model.check_endpoint.starts_with('/'));
    for (const auto& alias : model.aliases) {
        require(!alias.empty() && config.find(alias) != nullptr);
    }
    for (const auto& word : model.argv) {
        require(word.find('\0') == std::string::npos);
    }
    for (const auto& variable : model.env) {
        require(variable.find('=') != std::string::npos);
    }
    check_filters(model.filters);
    check_metadata(model.metadata);
    require(model.timeouts.connect.count() >= 0 && model.capabilities.context >= 0);
}

void check_matrix(const Config& config) {
    const MatrixConfig& matrix = config.matrix;
    require(matrix.sets.empty() == (config.router == RouterKind::group));
    for (std::size_t i = 0; i < matrix.nodes.size(); ++i) {
        const MatrixNode& node = matrix.nodes[i];
        const bool is_model = node.kind == MatrixNode::Kind::model;
        require(is_model == (config.find_id(node.model) != nullptr));
        require(is_model == node.children.empty());
        require(std::all_of(node.children.begin(), node.children.end(),
                            [&](std::uint32_t child) { return child < i; }));
    }
    for (const MatrixSet& set : matrix.sets) {
        require(set.root < matrix.nodes.size());
    }
    for (const EvictCost& cost : matrix.evict_costs) {
        require(cost.cost > 0 && config.find_id(cost.model) != nullptr);
    }
}

void check_config(const Config& config) {
    require(std::is_sorted(config.models.begin(), config.models.end(),
                           [](const auto& a, const auto& b) { return a.id < b.id; }));
    for (const auto& model : config.models) {
        check_model(config, model);
    }
    std::set<std::string> grouped;
    for (const auto& group : config.groups) {
        for (const auto& member : group.members) {
            require(config.find_id(member) != nullptr && grouped.insert(member.str()).second);
        }
    }
    require(!config.groups.empty() && config.groups.back().id == "(default)");
    require(grouped.size() == config.models.size());
    for (const auto& name : config.preload) {
        require(config.find_id(ModelId(name)) != nullptr);
    }
    for (const auto& key : config.api_keys) {
        require(!key.empty());
    }
    require(!config.ignore_paths.empty());
    for (const auto& pattern : config.ignore_paths) {
        require(path_pattern_mistake(pattern).empty());
    }
    check_names(config);
    check_matrix(config);
    require(config.start_port != 0 && config.limits.connections > 0);
}

/// The files a, b, … between the form feeds.
std::vector<ConfigText> files_of(std::string_view text) {
    std::vector<ConfigText> out;
    while (true) {
        const auto end = std::min(text.find('\f'), text.size());
        std::string name(1, static_cast<char>('a' + out.size() % 26));
        out.push_back({std::move(name), std::string(text.substr(0, end))});
        if (end == text.size()) {
            return out;
        }
        text.remove_prefix(end + 1);
    }
}

bool holds(const std::vector<ConfigText>& files, const std::string& name, std::string_view text) {
    return std::any_of(files.begin(), files.end(), [&](const ConfigText& file) {
        return (name.empty() || file.name == name) && file.text.find(text) != std::string::npos;
    });
}

void check_diagnostic(const Diagnostic& diagnostic, const std::vector<ConfigText>& files) {
    const auto shown = format_diagnostic(diagnostic, false);
    require(shown.find('\x1b') == std::string::npos && shown.find('\r') == std::string::npos);
    require(diagnostic.source.find("Zq7$") == std::string::npos || holds(files, "", "Zq7$"));
    // A line that is shown is a line of the file that is named.
    require(diagnostic.source.empty() || holds(files, diagnostic.file, diagnostic.source));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto files = files_of({reinterpret_cast<const char*>(data), size});
    const auto environment = [](const std::string& name) -> std::optional<std::string> {
        return name == "A" ? std::optional<std::string>("Zq7$ ${env.A} \"#'") : std::nullopt;
    };
    const auto loaded = load_config(files, environment);
    require(loaded.config.has_value() != has_errors(loaded.diagnostics));
    for (const auto& diagnostic : loaded.diagnostics) {
        check_diagnostic(diagnostic, files);
    }
    if (loaded.config) {
        check_config(*loaded.config);
    }
    const auto again = load_config(files, environment);
    require(again.config == loaded.config && again.diagnostics == loaded.diagnostics);
    if (files.size() == 1) {
        const auto alone = load_config(files.front().text, "a", environment);
        require(alone.config == loaded.config && alone.diagnostics == loaded.diagnostics);
    }
    return 0;
}
