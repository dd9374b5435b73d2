// The places of other programs; see sources.hpp.

#include "discovery/sources.hpp"

#include "core/file.hpp"
#include "discovery/naming.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace corral {

namespace {

/// A variable that holds an absolute path. By the XDG specification a relative one counts as not
/// set; for the others it would depend on where somebody stood.
std::optional<std::string> path_variable(const EnvironmentLookup& environment,
                                         const std::string& name) {
    std::optional<std::string> value = environment(name);
    if (!value || !value->starts_with('/')) {
        return std::nullopt;
    }
    while (value->size() > 1 && value->ends_with('/')) {
        value->pop_back();
    }
    return value;
}

class PlaceList {
public:
    void add(std::string place) {
        if (std::find(places_.begin(), places_.end(), place) == places_.end()) {
            places_.push_back(std::move(place));
        }
    }
    std::vector<std::string> take() { return std::move(places_); }

private:
    std::vector<std::string> places_;
};

/// LM Studio's home may be moved; the file says where to, in one line.
std::optional<std::string> studio_home(const std::string& home) {
    constexpr std::size_t path_bytes_max = 4'096;
    const Result<std::string> text =
        read_text_file(home + "/.lmstudio-home-pointer", path_bytes_max);
    if (!text) {
        return std::nullopt;
    }
    const std::string line = text->substr(0, text->find_first_of("\r\n"));
    return line.starts_with('/') ? std::optional(line) : std::nullopt;
}

void add_hub_cache(PlaceList& places, const EnvironmentLookup& environment,
                   const std::optional<std::string>& cache) {
    for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
        if (auto named = path_variable(environment, name)) {
            places.add(std::move(*named));
            return;
        }
    }
    if (const auto home = path_variable(environment, "HF_HOME")) {
        places.add(*home + "/hub");
    } else if (cache) {
        places.add(*cache + "/huggingface/hub");
    }
}

/// "org/repo" from "manifest=org=repo=tag.json"; empty for anything else.
std::string manifest_repository(std::string_view name) {
    constexpr std::string_view begin = "manifest=";
    if (!name.starts_with(begin) || !name.ends_with(".json")) {
        return {};
    }
    name.remove_prefix(begin.size());
    const std::size_t first = name.find('=');
    const std::size_t second = first == std::string_view::npos ? first : name.find('=', first + 1);
    if (second == std::string_view::npos) {
        return {};
    }
    return std::string(name.substr(0, first)) + "/" +
           std::string(name.substr(first + 1, second - first - 1));
}

std::string_view last_component(std::string_view path) {
    return path.substr(path.find_last_of('/') + 1);
}

/// "org_repo_file.gguf" by a repository that is known; nullopt when it is not that one's.
std::optional<CacheEntry> cut_repository(std::string_view name, const std::string& repository) {
    std::string prefix = repository + "_";
    std::replace(prefix.begin(), prefix.end(), '/', '_');
    if (repository.empty() || !name.starts_with(prefix) || name.size() == prefix.size()) {
        return std::nullopt;
    }
    return CacheEntry{repository, std::string(name.substr(prefix.size()))};
}

/// The same without a manifest: repositories of such files nearly always end in "-GGUF".
std::optional<CacheEntry> guess_repository(std::string_view name) {
    constexpr std::array<std::string_view, 2> endings{"-GGUF_", "-gguf_"};
    for (const std::string_view ending : endings) {
        const std::size_t at = name.find(ending);
        const std::size_t organization = name.find('_');
        const std::size_t begin = at + ending.size();
        if (at == std::string_view::npos || organization == 0 || organization >= at ||
            !has_gguf_suffix(name.substr(begin))) {
            continue;
        }
        std::string repository(name.substr(0, begin - 1));
        repository[organization] = '/';
        return CacheEntry{std::move(repository), std::string(name.substr(begin))};
    }
    return std::nullopt;
}

/// The repository in whose folder of the hub's cache a path lies; empty: in none.
std::string hub_repository_of(std::string_view path) {
    const std::size_t snapshots = path.rfind("/snapshots/");
    if (snapshots == std::string_view::npos) {
        return {};
    }
    return hub_repository(last_component(path.substr(0, snapshots)));
}

}  // namespace

std::vector<std::string> default_model_directories(const EnvironmentLookup& environment) {
    const std::optional<std::string> home = path_variable(environment, "HOME");
    const auto below_home = [&](const char* variable, const char* fallback) {
        std::optional<std::string> base = path_variable(environment, variable);
        return base || !home ? base : std::optional(*home + fallback);
    };
    const std::optional<std::string> data = below_home("XDG_DATA_HOME", "/.local/share");
    const std::optional<std::string> cache = below_home("XDG_CACHE_HOME", "/.cache");
    PlaceList places;
    if (home) {
        places.add(*home + "/.clara/llama-models");
    }
    if (data) {
        places.add(*data + "/corral/models");
    }
    places.add("/var/lib/corral/models");
    if (home) {
        if (const auto studio = studio_home(*home)) {
            places.add(*studio + "/models");
        }
        places.add(*home + "/.lmstudio/models");
        places.add(*home + "/.cache/lm-studio/models");
    }
    if (auto named = path_variable(environment, "LLAMA_CACHE")) {
        places.add(std::move(*named));
    }
    if (cache) {
        places.add(*cache + "/llama.cpp");
    }
    add_hub_cache(places, environment, cache);
    return places.take();
}

std::string hub_repository(std::string_view folder_name) {
    constexpr std::string_view begin = "models--";
    if (!folder_name.starts_with(begin) || folder_name.size() == begin.size()) {
        return {};
    }
    std::string repository(folder_name.substr(begin.size()));
    if (const std::size_t at = repository.find("--"); at != std::string::npos) {
        repository.replace(at, 2, "/");
    }
    return repository;
}

std::optional<CacheEntry> read_cache_path(std::string_view path,
                                          const std::vector<std::string>& manifests) {
    const std::string_view name = last_component(path);
    if (std::string repository = hub_repository_of(path); !repository.empty()) {
        return CacheEntry{std::move(repository), std::string(name)};
    }
    for (const std::string& manifest : manifests) {
        if (auto entry = cut_repository(name, manifest_repository(manifest))) {
            return entry;
        }
    }
    const std::string_view folder =
        path.substr(0, path.size() - std::min(path.size(), name.size() + 1));
    if (manifests.empty() && last_component(folder) != "llama.cpp") {
        return std::nullopt;
    }
    return guess_repository(name);
}

std::string state_directory(const EnvironmentLookup& environment) {
    if (const auto service = path_variable(environment, "STATE_DIRECTORY")) {
        return service->substr(0, service->find(':'));
    }
    if (const auto state = path_variable(environment, "XDG_STATE_HOME")) {
        return *state + "/corral";
    }
    const auto home = path_variable(environment, "HOME");
    return home ? *home + "/.local/state/corral" : std::string{};
}

}  // namespace corral
