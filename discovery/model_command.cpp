// Flags for llama-server and why; see model_command.hpp. Facts about the flags: the engine turns
// its own --fit off as soon as --n-gpu-layers is given, so that is written only when it is certain.

#include "discovery/model_command.hpp"

#include "core/command_line.hpp"
#include "discovery/memory.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace corral {

namespace {

constexpr double small_context_billions = 3.0;
constexpr std::uint64_t small_context = 2048;
constexpr std::uint64_t large_context = 4096;

struct Placement {
    std::optional<std::uint64_t> layers;  ///< for --n-gpu-layers; none: the engine decides
    std::string comment;
};

Placement place(const FoundModel& model, std::uint64_t context, const std::vector<Gpu>& gpus) {
    // 99 means "all" to everyone who reads such commands; a few models have more layers than that.
    const std::uint64_t all_layers = model.file.block_count < 99 ? 99 : 999;
    if (gpus.empty()) {
        return {0, "No GPU was found, so no layer goes to one."};
    }
    // Only one card is counted on: how a model splits over several is the engine's business.
    const Gpu& gpu = *std::max_element(gpus.begin(), gpus.end(), [](const Gpu& a, const Gpu& b) {
        return a.memory_bytes < b.memory_bytes;
    });
    const std::optional<std::uint64_t> needed = estimate_gpu_bytes(model.file, context);
    if (!needed) {
        return {std::nullopt,
                "How much memory it takes cannot be told from the file, so the "
                "engine's own --fit decides about the GPU."};
    }
    const std::string sizes =
        fmt::format("{} with its context; the GPU has {}", readable_bytes(*needed),
                    readable_bytes(gpu.memory_bytes));
    // A tenth stays for the desktop and for what the estimate does not know.
    if (*needed <= gpu.memory_bytes - gpu.memory_bytes / 10) {
        return {all_layers, fmt::format("All layers on the GPU: about {}.", sizes)};
    }
    return {
        std::nullopt,
        fmt::format("About {}: the engine's own --fit decides how many layers go there.", sizes)};
}

std::string describe(const FoundModel& model) {
    const ModelFile& file = model.file;
    std::string text = fmt::format("{} model, {}", role_name(file.role), file.architecture);
    if (file.parameters > 0) {
        const double millions = static_cast<double>(file.parameters) / 1e6;
        text += millions >= 1000 ? fmt::format(", {:.2f}B parameters", millions / 1000)
                                 : fmt::format(", {:.1f}M parameters", millions);
    }
    if (const std::string quantization = model.quantization(); !quantization.empty()) {
        text += ", " + quantization;
    }
    text += ", " + readable_bytes(file.file_bytes);
    if (model.part_count > 1) {
        text += fmt::format(" in {} parts", model.part_count);
    }
    if (file.context_length > 0) {
        text += fmt::format(", trained for {} tokens", file.context_length);
    }
    return text + ".";
}

}  // namespace

std::uint64_t context_size(const FoundModel& model) {
    const std::uint64_t wanted =
        model.billions() <= small_context_billions ? small_context : large_context;
    const std::uint64_t trained = model.file.context_length;
    return trained == 0 ? wanted : std::min(wanted, trained);
}

ModelCommand make_command(const FoundModel& model, const std::string& engine,
                          const std::vector<Gpu>& gpus) {
    const std::uint64_t context = context_size(model);
    Placement placement = place(model, context, gpus);
    std::vector<std::string> flags{"--port", "${PORT}"};
    if (placement.layers) {
        flags.insert(flags.end(), {"--n-gpu-layers", std::to_string(*placement.layers)});
    }
    flags.insert(flags.end(), {"--ctx-size", std::to_string(context)});
    if (model.file.role == ModelRole::embedding) {
        flags.emplace_back("--embeddings");
    } else if (model.file.role == ModelRole::reranker) {
        flags.emplace_back("--reranking");
    }

    ModelCommand command;
    command.argv = {engine, "-m", model.path};
    command.argv.insert(command.argv.end(), flags.begin(), flags.end());
    command.lines = {quote_word(engine) + " -m " + quote_word(model.path),
                     fmt::format("{}", fmt::join(flags, " "))};
    command.comments.push_back(describe(model));
    if (!model.file.name.empty()) {
        command.comments.push_back("Its own name: " + escaped(model.file.name, 80));
    }
    command.comments.push_back(std::move(placement.comment));
    return command;
}

}  // namespace corral
