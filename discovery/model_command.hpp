#pragma once
// The command that starts one found model, and the reasons for its flags. Pure; any thread.

#include "discovery/catalogue.hpp"
#include "discovery/gpu.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corral {

struct ModelCommand {
    std::vector<std::string> argv;      ///< what the config must split into; ${PORT} still in it
    std::vector<std::string> lines;     ///< the same as lines of a `cmd: |` block, quoted
    std::vector<std::string> comments;  ///< sentences, ASCII
};

/// What somebody chose in place of what would be chosen.
struct CommandChoices {
    std::optional<std::uint64_t> context;  ///< for --ctx-size, in place of context_size()
    std::optional<std::uint64_t> threads;
    std::optional<std::uint64_t> gpu_layers;
};

/// `engine` is the program, one word. `gpus` empty: none.
[[nodiscard]] ModelCommand make_command(const FoundModel& model, const std::string& engine,
                                        const std::vector<Gpu>& gpus,
                                        const CommandChoices& chosen = {});

/// Tokens of context by the model's size: 2048 up to 3B, 4096 above, never more than trained.
[[nodiscard]] std::uint64_t context_size(const FoundModel& model);

}  // namespace corral
