// Default places and the walk; see discovery.hpp. Writing is writer.cpp.

#include "discovery/discovery.hpp"

#include <optional>

namespace corral {

Discovery discover(const DiscoverOptions& options) {
    Discovery discovery;
    for (const std::string& directory : options.directories) {
        discovery.directories.push_back(absolute_path(directory));
    }
    discovery.catalogue = read_catalogue(discovery.directories, options.limits);
    return discovery;
}

std::vector<std::string> default_model_directories(const EnvironmentLookup& environment) {
    std::vector<std::string> directories;
    const std::optional<std::string> home = environment("HOME");
    const bool has_home = home && home->starts_with('/');
    if (has_home) {
        directories.push_back(*home + "/.clara/llama-models");
    }
    // By the XDG specification a relative path counts as not set.
    if (const std::optional<std::string> data = environment("XDG_DATA_HOME");
        data && data->starts_with('/')) {
        directories.push_back(*data + "/corral/models");
    } else if (has_home) {
        directories.push_back(*home + "/.local/share/corral/models");
    }
    directories.emplace_back("/var/lib/corral/models");
    return directories;
}

}  // namespace corral
