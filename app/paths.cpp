#include "app/paths.hpp"

#include "discovery/sources.hpp"

#include <cstdlib>
#include <optional>
#include <string>

namespace corral {
namespace {

namespace fs = std::filesystem;

/// $VARIABLE/corral, else $HOME/`fallback`/corral; XDG says that relative paths are ignored.
std::optional<fs::path> xdg(const EnvironmentLookup& env, const char* variable,
                            const char* fallback) {
    if (const auto value = env(variable); value && fs::path(*value).is_absolute()) {
        return fs::path(*value) / "corral";
    }
    if (const auto home = env("HOME"); home && fs::path(*home).is_absolute()) {
        return fs::path(*home) / fallback / "corral";
    }
    return std::nullopt;
}

}  // namespace

std::vector<fs::path> config_candidates(const EnvironmentLookup& environment) {
    std::vector<fs::path> out;
    if (const auto named = environment("CORRAL_CONFIG"); named && !named->empty()) {
        out.emplace_back(*named);
    }
    if (const auto dir = xdg(environment, "XDG_CONFIG_HOME", ".config")) {
        out.push_back(*dir / "config.yaml");
    }
    out.emplace_back("/etc/corral/config.yaml");
    if (const std::string state = state_directory(environment); !state.empty()) {
        out.push_back(fs::path(state) / "config.yaml");
    }
    return out;
}

std::string leftovers_directory(const EnvironmentLookup& environment) {
    const std::string state = state_directory(environment);
    return state.empty() ? state : state + "/leftovers";
}

EnvironmentLookup process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
    };
}

}  // namespace corral
