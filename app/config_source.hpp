#pragma once
// Where the server's config comes from: --config and --config-dir, a file found in the usual
// places, or a scan of the model directories when there is none. Reads files. Knows after each
// load() what a watcher has to look at. Main thread.

#include "core/config.hpp"
#include "core/config_files.hpp"
#include "core/diagnostic.hpp"
#include "core/error.hpp"

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

namespace corral {

class ConfigSource {
public:
    /// What --config and --config-dir name; both empty: look in the usual places at each load.
    explicit ConfigSource(ConfigPlaces named) : named_(std::move(named)) {}

    /// Reads the config. Errors: invalid_config or io, with a detail that names the file and what
    /// to do.
    [[nodiscard]] Result<std::shared_ptr<const Config>> load();

    /// The files and directories that the last load() read or would have read, as they were named
    /// (symbolic links not resolved): a change below any of them may change the config. Empty when
    /// the model directories were scanned instead.
    [[nodiscard]] std::vector<std::filesystem::path> inputs() const { return inputs_; }

    /// The file that a scan may renew: the one that --config named or that was found. Error:
    /// unsupported, when there is a directory of them only. Empty: the models were scanned.
    [[nodiscard]] Result<std::string> renewable_file() const;

    /// What the last load() had to say about the files.
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept {
        return diagnostics_;
    }
    /// The same on standard error, for a person.
    void print_diagnostics() const;

private:
    ConfigPlaces named_;
    std::vector<std::filesystem::path> inputs_;
    std::vector<Diagnostic> diagnostics_;
    std::string file_;  // that the last load() read; empty: none
};

}  // namespace corral
