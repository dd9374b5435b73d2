// A config of any bytes never crashes the loader; a config comes out exactly when no error was
// reported; what comes out keeps the promises that the other rooms rely on; loading it twice gives
// the same; and no value of the environment stands in a quoted line.

#include "core/config_load.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

using namespace corral;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
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
    require(config.start_port != 0 && config.limits.connections > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto environment = [](const std::string& name) -> std::optional<std::string> {
        return name == "A" ? std::optional<std::string>("Zq7$ ${env.A} \"#'") : std::nullopt;
    };
    const auto loaded = load_config(text, "fuzz", environment);
    require(loaded.config.has_value() != has_errors(loaded.diagnostics));
    const bool holds_it_itself = text.find("Zq7$") != std::string_view::npos;
    for (const auto& diagnostic : loaded.diagnostics) {
        const auto shown = format_diagnostic(diagnostic, false);
        require(holds_it_itself || diagnostic.source.find("Zq7$") == std::string::npos);
        require(shown.find('\x1b') == std::string::npos && shown.find('\r') == std::string::npos);
    }
    if (loaded.config) {
        check_config(*loaded.config);
    }
    const auto again = load_config(text, "fuzz", environment);
    require(again.config == loaded.config && again.diagnostics == loaded.diagnostics);
    return 0;
}
