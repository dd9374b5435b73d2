#pragma once
// Discovery as the commands use it: look at directories, get models, get a config for them. This
// is the door of the room. discover() touches the disk; write_config() is pure. Any thread.

#include "core/config_load.hpp"
#include "core/error.hpp"
#include "discovery/assign.hpp"
#include "discovery/catalogue.hpp"
#include "discovery/gpu.hpp"
#include "discovery/sources.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace corral {

struct DiscoverOptions {
    std::vector<std::string> directories;
    WalkLimits limits;
    /// Where what was read is kept, so that unchanged files are not opened again; see index_file().
    /// Empty: nowhere. When it cannot be written that is no error.
    // NOLINTNEXTLINE(readability-redundant-member-init): so that it may be left out in braces
    std::string index_file{};
};

struct Discovery {
    std::vector<std::string> directories;  ///< as given, made absolute
    Catalogue catalogue;
};

/// Looks at every directory. A directory that is not there stands in catalogue.failed_roots.
[[nodiscard]] Discovery discover(const DiscoverOptions& options);

/// The index in the state directory; empty when there is no such directory.
[[nodiscard]] std::string index_file(const EnvironmentLookup& environment);

struct WriteOptions {
    std::string engine = "llama-server";  ///< program for `cmd`, one word
    std::vector<Gpu> gpus;                ///< empty: no GPU
    GivenByPath given;                    ///< names that files have had before
    DiscoveryConfig settings;             ///< its directories and engine are for a new file's text
};

struct WrittenModel {
    std::string id;
    std::vector<std::string> aliases;
    std::string path;
    const FoundModel* found = nullptr;  ///< borrowed from the Discovery
    std::vector<std::string> notes;     ///< sentences: names that others have
};

struct WrittenConfig {
    std::string yaml;
    std::vector<WrittenModel> models;  ///< sorted by id
    std::vector<LeftOut> left_out;     ///< found, but not expressible in a config
};

/// A commented configuration for what was found, valid also when that is nothing. Every command in
/// it was loaded back and compared: what splits into other words than it should is left out.
/// Errors: invalid_config (the engine's path cannot stand in a config), internal.
[[nodiscard]] Result<WrittenConfig> write_config(const Discovery& discovery,
                                                 const WriteOptions& options);

/// True when `yaml` is as an older version of write_config() wrote it, with one checksum for the
/// whole file: nobody changed it since.
[[nodiscard]] bool is_untouched(std::string_view yaml);

}  // namespace corral
