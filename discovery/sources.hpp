#pragma once
// Where programs keep models: our own places, LM Studio's folder, the Hugging Face hub's cache and
// llama.cpp's. And what the caches' names say. Reads environment variables by the lookup that it
// is given, and one pointer file; any thread.

#include "core/config_load.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// Where models are looked for by default, whether it is there or not, each place once:
/// ~/.clara/llama-models, $XDG_DATA_HOME/corral/models (~/.local/share by default),
/// /var/lib/corral/models; LM Studio's folder (by ~/.lmstudio-home-pointer, ~/.lmstudio/models,
/// ~/.cache/lm-studio/models); llama.cpp's cache ($LLAMA_CACHE, $XDG_CACHE_HOME/llama.cpp,
/// ~/.cache by default); the hub's cache ($HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub,
/// $XDG_CACHE_HOME/huggingface/hub, ~/.cache by default: the first that is set).
[[nodiscard]] std::vector<std::string> default_model_directories(
    const EnvironmentLookup& environment);

/// "org/repo" from a folder "models--org--repo" of the hub's cache; empty for other folders.
[[nodiscard]] std::string hub_repository(std::string_view folder_name);

/// What a path inside a cache says of its model.
struct CacheEntry {
    std::string repository;  ///< "org/repo"; empty when only the file's own name is known
    std::string file_name;   ///< without what the cache put before it
};

/// `manifests`: names of the files "manifest=org=repo=tag.json" beside it, which llama.cpp writes.
[[nodiscard]] std::optional<CacheEntry> read_cache_path(std::string_view path,
                                                        const std::vector<std::string>& manifests);

/// Where a state directory is: $STATE_DIRECTORY (the first of several), $XDG_STATE_HOME/corral,
/// ~/.local/state/corral; empty when none of them is set.
[[nodiscard]] std::string state_directory(const EnvironmentLookup& environment);

}  // namespace corral
