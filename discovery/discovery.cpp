// Looking at directories, with the index; see discovery.hpp. Writing is writer.cpp.

#include "discovery/discovery.hpp"

#include "discovery/model_index.hpp"
#include "discovery/text.hpp"

namespace corral {

Discovery discover(const DiscoverOptions& options) {
    Discovery discovery;
    for (const std::string& directory : options.directories) {
        discovery.directories.push_back(absolute_path(directory));
    }
    if (options.index_file.empty()) {
        discovery.catalogue = read_catalogue(discovery.directories, options.limits);
        return discovery;
    }
    std::string warning;
    ModelIndex index = ModelIndex::load(options.index_file, warning);
    discovery.catalogue = read_catalogue(discovery.directories, options.limits, &index);
    if (!warning.empty()) {
        discovery.catalogue.index_warning = escaped(options.index_file) + ": " + warning;
    }
    index.drop_vanished();
    index.save(options.index_file);
    return discovery;
}

std::string index_file(const EnvironmentLookup& environment) {
    const std::string directory = state_directory(environment);
    return directory.empty() ? directory : directory + "/models.index";
}

}  // namespace corral
