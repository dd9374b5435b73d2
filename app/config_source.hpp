#pragma once
// Where the server's config comes from: a named file, one found in the usual places, or a scan of
// the model directories when there is none. Reads files and prints diagnostics. Main thread.
// Knows after each load() what a watcher has to look at.

#include "core/config.hpp"
#include "core/error.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace corral {

class ConfigSource {
public:
    /// `named` is --config; empty: look in the usual places, now and at each load.
    explicit ConfigSource(std::string named) : named_(std::move(named)) {}

    /// Reads the config and prints its diagnostics on standard error. Errors: invalid_config or io,
    /// with a detail that names the file and what to do.
    [[nodiscard]] Result<std::shared_ptr<const Config>> load();

    /// The files and directories that the last load() read or would have read, as they were named
    /// (symbolic links not resolved): a change below any of them may change the config. Empty when
    /// the model directories were scanned instead.
    [[nodiscard]] std::vector<std::filesystem::path> inputs() const { return inputs_; }

private:
    std::string named_;
    std::vector<std::filesystem::path> inputs_;
};

}  // namespace corral
