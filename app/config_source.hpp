#pragma once
// Where the server's config comes from: a named file, one found in the usual places, or a scan of
// the model directories when there is none. Reads files and prints diagnostics. Main thread.

#include "core/config.hpp"
#include "core/error.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace corral {

class ConfigSource {
public:
    /// `named` is --config; empty: look in the usual places, now and at each load.
    explicit ConfigSource(std::string named) : named_(std::move(named)) {}

    /// Reads the config and prints its diagnostics on standard error. Errors: invalid_config or io,
    /// with a detail that names the file and what to do.
    [[nodiscard]] Result<std::shared_ptr<const Config>> load() const;

private:
    std::string named_;
};

}  // namespace corral
