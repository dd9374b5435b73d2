// `limits:` of a model: what its process may take. What is wrong here is an error, as in the limits
// of the program: a limit that does not hold is worse than none.
#include "core/load/loading.hpp"
#include "core/quantity.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>
#include <optional>

namespace corral::load {
namespace {

const Key& model_limit_key(std::string_view name) {
    const Key* limits = find_key(model_keys(), "limits");
    return *find_key(limits->members(), name);
}

std::string path_of_limit(std::string_view name) {
    return "limits." + std::string(name);
}

/// Whether a value lies within its key's bounds; says so when it does not.
bool within_bounds(Reader& reader, const Node& node, const Key& key, std::int64_t value) {
    if (value >= key.traits.least && value <= key.traits.most) {
        return true;
    }
    reader.report().error(
        node.mark,
        reader.place(path_of_limit(key.name)) + " is out of range: " + std::to_string(value),
        "from " + std::to_string(key.traits.least) + " to " + std::to_string(key.traits.most));
    return false;
}

std::uint64_t read_memory(Reader& reader, const Node& limits) {
    const Node* node = limits.find("memory");
    if (node == nullptr || node->is_null()) {
        return 0;
    }
    const std::string path = path_of_limit("memory");
    if (!node->is_scalar()) {
        reader.type_error(*node, path, "a number or a text");
        return 0;
    }
    const auto value = reader.scalar(*node, path);
    if (!value) {
        return 0;
    }
    const auto bytes = parse_size(to_text(*value));
    if (!bytes) {
        reader.report().error(node->mark, reader.place(path) + ": " + bytes.error().detail);
        return 0;
    }
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    const auto number = static_cast<std::int64_t>(std::min(*bytes, most));
    return within_bounds(reader, *node, model_limit_key("memory"), number) ? *bytes : 0;
}

template <class T>
void read_number(Reader& reader, const Node& limits, std::string_view name,
                 std::optional<T>& into) {
    const Node* node = limits.find(name);
    const auto value = node != nullptr ? reader.integer(*node, path_of_limit(name)) : std::nullopt;
    if (value && within_bounds(reader, *node, model_limit_key(name), *value)) {
        into = static_cast<T>(*value);
    }
}

/// The value that the command gives one of these options; empty when it has none of them. Of
/// several the last counts, as it does for llama-server.
std::string_view option_value(const std::vector<std::string>& argv,
                              std::initializer_list<std::string_view> names) {
    std::string_view out;
    for (std::size_t i = 1; i < argv.size(); ++i) {
        const std::string_view word = argv[i];
        const auto equals = word.find('=');
        if (std::find(names.begin(), names.end(), word.substr(0, equals)) == names.end()) {
            continue;
        }
        if (equals != std::string_view::npos) {
            out = word.substr(equals + 1);
        } else if (i + 1 < argv.size()) {
            out = argv[i + 1];
        }
    }
    return out;
}

void warn_of_contradiction(Reader& reader, const Node& limits, std::string_view name,
                           std::optional<std::uint32_t> limit, std::string_view in_command) {
    if (!limit || in_command.empty()) {
        return;
    }
    std::uint32_t number = 0;
    const auto* const end = in_command.data() + in_command.size();
    const auto [stop, error] = std::from_chars(in_command.data(), end, number);
    if (error == std::errc{} && stop == end && number == *limit) {
        return;
    }
    reader.report().warn(limits.find(name)->mark,
                         reader.place(path_of_limit(name)) + " is " + std::to_string(*limit) +
                             ", but cmd says " + std::string(in_command.substr(0, 32)),
                         "cmd is never edited, so that is what holds");
}

}  // namespace

ModelLimits read_model_limits(Reader& reader, const Node& limits,
                              const std::vector<std::string>& argv) {
    ModelLimits out;
    out.memory = read_memory(reader, limits);
    read_number(reader, limits, "nice", out.nice);
    read_number(reader, limits, "oomScoreAdj", out.oom_score_adj);
    read_number(reader, limits, "threads", out.threads);
    read_number(reader, limits, "gpuLayers", out.gpu_layers);
    warn_of_contradiction(reader, limits, "threads", out.threads,
                          option_value(argv, {"-t", "--threads"}));
    warn_of_contradiction(reader, limits, "gpuLayers", out.gpu_layers,
                          option_value(argv, {"-ngl", "--gpu-layers", "--n-gpu-layers"}));
    return out;
}

}  // namespace corral::load
