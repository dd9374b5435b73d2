// Flags for llama-server and why; see model_command.hpp. Facts about the flags: the engine turns
// its own --fit off as soon as --n-gpu-layers is given, so that is written only when it is certain.

#include "discovery/model_command.hpp"

#include "core/command_line.hpp"
#include "discovery/memory.hpp"
#include "discovery/saturate.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace corral {

namespace {

constexpr double small_context_billions = 3.0;
constexpr std::uint64_t small_context = 2048;
constexpr std::uint64_t large_context = 4096;

/// What a projector computes in beside its weights; Ollama leaves as much.
constexpr std::uint64_t projector_compute_bytes = 1ULL << 30U;

bool gives_vectors(const FoundModel& model) {
    return model.file.role == ModelRole::embedding || model.file.role == ModelRole::reranker;
}

/// Models that give vectors take an input in one batch or not at all: it must hold the context.
std::optional<std::uint64_t> batch_of(const FoundModel& model, std::uint64_t context) {
    return gives_vectors(model) && context > usual_batch ? std::optional(context) : std::nullopt;
}

/// For embedding models whose file does not say how the vectors of an input become one: without it
/// /v1/embeddings is refused. Decoders were trained on their last token, these families of
/// encoders on their first, others on the mean.
std::optional<std::string> pooling_of(const FoundModel& model) {
    constexpr std::array<std::string_view, 4> by_first{"bge", "mxbai", "arctic", "gte"};
    if (model.file.role != ModelRole::embedding || model.file.pooling.value_or(0) != 0) {
        return std::nullopt;
    }
    if (model.file.architecture.find("bert") == std::string::npos) {
        return "last";
    }
    const std::string name = plain_name(model.file_name.stem);
    const bool first = std::any_of(by_first.begin(), by_first.end(), [&](std::string_view family) {
        return name.find(family) != std::string::npos;
    });
    return first ? "cls" : "mean";
}

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
    std::optional<std::uint64_t> needed =
        estimate_gpu_bytes(model.file, context, batch_of(model, context).value_or(usual_batch));
    if (needed && model.projector) {
        needed = saturating_add(
            *needed, saturating_add(model.projector->file_bytes, projector_compute_bytes));
    }
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
    if (file.experts > 0) {
        text += file.experts_used > 0
                    ? fmt::format(", {} of {} experts a token", file.experts_used, file.experts)
                    : fmt::format(", {} experts", file.experts);
    }
    if (file.context_length > 0) {
        text += fmt::format(", trained for {} tokens", file.context_length);
    }
    return text + ".";
}

/// Sentences about what only some models have.
void explain_role(const FoundModel& model, std::uint64_t context,
                  std::vector<std::string>& comments) {
    if (model.projector) {
        const bool both = model.projector->has_vision && model.projector->has_audio;
        comments.push_back(fmt::format(
            "Its projector takes {}; its vectors are as long as the model's.",
            both ? "images and sound" : (model.projector->has_vision ? "images" : "sound")));
    }
    if (!model.projector_note.empty()) {
        comments.push_back(model.projector_note);
    }
    if (batch_of(model, context)) {
        comments.emplace_back(
            "An input must fit into one batch, so that is as large as the context.");
    }
    if (pooling_of(model)) {
        comments.emplace_back("The file does not say how to pool; this is usual for its kind.");
    }
}

}  // namespace

std::uint64_t context_size(const FoundModel& model) {
    const std::uint64_t wanted =
        model.billions() <= small_context_billions ? small_context : large_context;
    const std::uint64_t trained = model.file.context_length;
    return trained == 0 ? wanted : std::min(wanted, trained);
}

ModelCommand make_command(const FoundModel& model, const std::string& engine,
                          const std::vector<Gpu>& gpus, const CommandChoices& chosen) {
    const std::uint64_t context = chosen.context.value_or(context_size(model));
    Placement placement = chosen.gpu_layers
                              ? Placement{chosen.gpu_layers, "Its layers on the GPU were chosen."}
                              : place(model, context, gpus);
    std::vector<std::string> flags{"--port", "${PORT}"};
    if (placement.layers) {
        flags.insert(flags.end(), {"--n-gpu-layers", std::to_string(*placement.layers)});
    }
    if (chosen.threads) {
        flags.insert(flags.end(), {"--threads", std::to_string(*chosen.threads)});
    }
    flags.insert(flags.end(), {"--ctx-size", std::to_string(context)});
    if (const auto batch = batch_of(model, context)) {
        flags.insert(flags.end(), {"--batch-size", std::to_string(*batch), "--ubatch-size",
                                   std::to_string(*batch)});
    }
    if (model.file.role == ModelRole::embedding) {
        flags.emplace_back("--embeddings");
    } else if (model.file.role == ModelRole::reranker) {
        flags.emplace_back("--reranking");
    }
    if (const auto pooling = pooling_of(model)) {
        flags.insert(flags.end(), {"--pooling", *pooling});
    }

    ModelCommand command;
    command.argv = {engine, "-m", model.path};
    command.lines = {quote_word(engine) + " -m " + quote_word(model.path)};
    if (model.projector) {
        command.argv.insert(command.argv.end(), {"--mmproj", model.projector->path});
        command.lines.push_back("--mmproj " + quote_word(model.projector->path));
    }
    command.argv.insert(command.argv.end(), flags.begin(), flags.end());
    command.lines.push_back(fmt::format("{}", fmt::join(flags, " ")));
    command.comments.push_back(describe(model));
    if (!model.file.name.empty()) {
        command.comments.push_back("Its own name: " + escaped(model.file.name, 80));
    }
    command.comments.push_back(std::move(placement.comment));
    explain_role(model, context, command.comments);
    return command;
}

}  // namespace corral
