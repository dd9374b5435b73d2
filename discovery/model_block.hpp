#pragma once
// The text of one model in a config, as a person would like to read it, and of what stands around
// it in a config that is new. Pure; any thread.

#include "core/discovery_config.hpp"
#include "discovery/assign.hpp"
#include "discovery/gpu.hpp"
#include "discovery/model_command.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace corral {

/// What decides how a model's block reads.
struct BlockOptions {
    std::string engine;     ///< program of the command, one word
    std::vector<Gpu> gpus;  ///< empty: none
    DiscoveryConfig settings;
    std::chrono::seconds health_check_timeout{120};  ///< of the file; one that needs more says so
};

struct ModelBlock {
    std::vector<std::string> argv;  ///< what the config must give back
    std::string body;               ///< at an indentation of two
};

/// What the settings say about a file: of all patterns that match, the last that says it.
[[nodiscard]] DiscoveryOverride override_for(const DiscoveryConfig& settings,
                                             const std::string& path);

[[nodiscard]] ModelBlock make_block(const NamedModel& model, const BlockOptions& options);

/// The body of a group in which models swap.
[[nodiscard]] std::string group_block_body(const std::string& id,
                                           const std::vector<std::string>& members);

/// How long a model may take to answer after it was started.
[[nodiscard]] std::chrono::seconds load_time(const FoundModel& model);

/// A new config but for its blocks. `directories` and `engine` as the command line named them;
/// empty: the usual ones.
[[nodiscard]] std::string skeleton(const DiscoveryConfig& settings,
                                   std::chrono::seconds health_check_timeout);

}  // namespace corral
