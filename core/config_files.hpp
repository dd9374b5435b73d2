#pragma once
// The files of one configuration, found and read: --config, and whatever lies in --config-dir.
// Bounded and never waiting: see core/file.hpp. Blocks for the disk: start-up, reload and the
// commands; never a session. Any thread.

#include "core/config_load.hpp"
#include "core/error.hpp"

#include <string>
#include <vector>

namespace corral {

/// What --config and --config-dir name. Either may be empty, not both.
struct ConfigPlaces {
    std::string file;
    std::string directory;
};

/// The paths in the order in which they are merged: the file, then the directory's *.yml and *.yaml
/// (symbolic links among them, hidden ones too; no directories) in the byte-wise order of their
/// names. At most 1000. Errors: io; invalid_config when the file is in the directory as well.
[[nodiscard]] Result<std::vector<std::string>> list_config_files(const ConfigPlaces& places);

/// Their texts, at most 16 MiB each and 64 MiB in all. Errors: those of read_text_file().
[[nodiscard]] Result<std::vector<ConfigText>> read_config_files(
    const std::vector<std::string>& paths);

/// load_config(), and what only the disk can tell: a store.path that cannot be written is an error,
/// as with llama-swap. Writes nothing.
[[nodiscard]] ConfigLoad load_config_here(const std::vector<ConfigText>& texts,
                                          const EnvironmentLookup& environment);

}  // namespace corral
