// The table of keys: `discovery:`, what `corral scan` and the server's own scans go by.
#include "core/load/keys.hpp"

#include <array>

namespace corral::load {
namespace {

using enum Shape;

constexpr std::int64_t tokens_max = 1LL << 40;

constexpr std::array<std::string_view, 3> namings{"documented", "metadata", "filename"};
constexpr std::array<std::string_view, 2> group_kinds{"exclusive", "none"};

constexpr std::array of_alias_rules{
    Key{"openai", boolean, "true",
        "`gpt-3.5-turbo`, `gpt-4` and `text-davinci-003` each stand for a model"},
    Key{"rules", texts_by_name, "{}",
        "alias → pattern such as `*coder*`; it goes to the largest chat model whose file matches"},
};
std::span<const Key> alias_rule_keys() noexcept {
    return of_alias_rules;
}

constexpr std::array of_override{
    Key{"skip", boolean, "false", "nothing is written for such a file"},
    Key{"ttl", seconds, "", "idle time after which it is unloaded; 0: never",
        Traits{.least = 0, .otherwise = "that of `discovery:`"}},
    Key{"ctx", integer, "", "tokens of context; 0: as many as it was trained for",
        Traits{.least = 0, .most = tokens_max, .otherwise = "by the model's size"}},
    Key{"threads", integer, "", "for `--threads`, and the `limits.threads` of the model",
        Traits{.least = 1, .most = 65'536, .otherwise = "the engine decides"}},
    Key{"gpuLayers", integer, "", "for `--n-gpu-layers`, and the `limits.gpuLayers` of the model",
        Traits{.least = 0, .most = 65'536, .otherwise = "by the GPU's memory"}},
    Key{"args", texts, "[]", "more words for its command"},
    Key{"name", text, "", "its id", Traits{.otherwise = "by `naming`"}},
};
std::span<const Key> override_keys() noexcept {
    return of_override;
}

constexpr std::array of_discovery{
    Key{"directories", texts, "[]", "where models are looked for; `~` is the home directory",
        Traits{.otherwise = "the usual places"}},
    Key{"engine", text, "", "the llama-server program in every command",
        Traits{.otherwise = "`$CORRAL_LLAMA_SERVER`, else `llama-server`"}},
    Key{"ttl", seconds, "300", "idle time after which a model is unloaded; 0: never",
        Traits{.least = 0}},
    Key{"naming", word, "documented",
        "where ids come from: the documented rule, the name in the file, the file's name",
        Traits{.words = namings}},
    Key{"aliases", mapping, "{}", "names for clients that want certain ones",
        Traits{.members = alias_rule_keys}},
    Key{"group", word, "exclusive", "one group in which models swap, or none",
        Traits{.words = group_kinds}},
    Key{"watch", boolean, "false", "the server scans again when files come and go"},
    Key{"overrides", named, "{}",
        "pattern → what holds for such files; of the file name, or with a `/` of the whole path",
        Traits{.members = override_keys}},
};

}  // namespace

std::span<const Key> discovery_keys() noexcept {
    return of_discovery;
}

}  // namespace corral::load
