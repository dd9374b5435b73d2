#include "app/scan_flags.hpp"

#include "core/command_line.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace corral {
namespace {

/// `PATTERN=VALUE` at its last `=`, since file names may have one; of words at the first.
std::pair<std::string, std::string> halves(const std::string& text, bool at_first = false) {
    const std::size_t at = at_first ? text.find('=') : text.rfind('=');
    if (at == std::string::npos || at == 0) {
        throw CLI::ValidationError(text, "needs the form PATTERN=VALUE");
    }
    return {text.substr(0, at), text.substr(at + 1)};
}

std::int64_t number(const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
        throw CLI::ValidationError(text, "is not a whole number of 0 or more");
    }
    return value;
}

/// An option that may be given several times and takes one word each time.
template <class Use>
void add_repeated(CLI::App& command, const std::string& name, const std::string& type,
                  const std::string& help, Use use) {
    command
        .add_option_function<std::vector<std::string>>(
            name,
            [use](const std::vector<std::string>& words) {
                for (const std::string& word : words) {
                    use(word);
                }
            },
            help)
        ->type_name(type)
        ->allow_extra_args(false);
}

/// What was said about a pattern; each stands once in the file.
DiscoveryOverride& override_of(ScanFlags& flags, const std::string& pattern) {
    for (DiscoveryOverride& one : flags.overrides) {
        if (one.pattern == pattern) {
            return one;
        }
    }
    DiscoveryOverride& one = flags.overrides.emplace_back();
    one.pattern = pattern;
    return one;
}

void add_overrides(CLI::App& command, const std::shared_ptr<ScanFlags>& flags) {
    add_repeated(command, "--skip", "PATTERN", "Leave such files out, e.g. '*-q2_k.gguf'",
                 [flags](const std::string& pattern) {
                     DiscoveryOverride& one = override_of(*flags, pattern);
                     one.skip = true;
                 });
    add_repeated(command, "--ttl-for", "PATTERN=SECONDS", "Their ttl, e.g. '*embed*=0'",
                 [flags](const std::string& word) {
                     auto [pattern, value] = halves(word);
                     DiscoveryOverride& one = override_of(*flags, pattern);
                     one.ttl = std::chrono::seconds(number(value));
                 });
    add_repeated(command, "--ctx-for", "PATTERN=TOKENS",
                 "Their context, 0: all that they were trained for, e.g. '*coder*=16384'",
                 [flags](const std::string& word) {
                     auto [pattern, value] = halves(word);
                     DiscoveryOverride& one = override_of(*flags, pattern);
                     one.context = static_cast<std::uint64_t>(number(value));
                 });
    add_repeated(command, "--threads-for", "PATTERN=N", "Their threads, e.g. '*70b*=8'",
                 [flags](const std::string& word) {
                     auto [pattern, value] = halves(word);
                     DiscoveryOverride& one = override_of(*flags, pattern);
                     one.threads = static_cast<std::uint64_t>(number(value));
                 });
    add_repeated(command, "--gpu-layers-for", "PATTERN=N",
                 "How many of their layers go to the GPU, e.g. '*70b*=40'",
                 [flags](const std::string& word) {
                     auto [pattern, value] = halves(word);
                     DiscoveryOverride& one = override_of(*flags, pattern);
                     one.gpu_layers = static_cast<std::uint64_t>(number(value));
                 });
    add_repeated(command, "--args-for", "PATTERN=WORDS",
                 "More words for their commands, e.g. '*70b*=--mlock'",
                 [flags](const std::string& word) {
                     auto [pattern, value] = halves(word, true);
                     const auto words = split_command_line(value);
                     if (!words) {
                         throw CLI::ValidationError(word, words.error().detail);
                     }
                     DiscoveryOverride& one = override_of(*flags, pattern);
                     one.arguments = *words;
                 });
    add_repeated(command, "--name-for", "PATTERN=NAME", "Their name, e.g. 'big.gguf=house'",
                 [flags](const std::string& word) {
                     auto [pattern, value] = halves(word);
                     DiscoveryOverride& one = override_of(*flags, pattern);
                     one.name = value;
                 });
}

}  // namespace

void add_scan_flags(CLI::App& command, const std::shared_ptr<ScanFlags>& flags) {
    command.add_option("DIR", flags->directories,
                       "Where to look (default: `discovery:` of the config, else "
                       "~/.clara/llama-models, ~/.local/share/corral/models, "
                       "/var/lib/corral/models, and the folders of LM Studio, llama.cpp and the "
                       "Hugging Face hub)");
    command.add_option("--engine", flags->engine,
                       "The llama-server program (default: `discovery:` of the config, else "
                       "$CORRAL_LLAMA_SERVER, else that of the config's commands, else "
                       "llama-server)");
    command.add_option_function<std::string>(
        "--ttl",
        [flags](const std::string& word) { flags->ttl = std::chrono::seconds(number(word)); },
        "Seconds without a request after which a model is unloaded; 0: never (300)");
    const std::map<std::string, NamingRule> namings{{"documented", NamingRule::documented},
                                                    {"metadata", NamingRule::metadata},
                                                    {"filename", NamingRule::filename}};
    command
        .add_option_function<std::string>(
            "--naming",
            [flags, namings](const std::string& word) { flags->naming = namings.at(word); },
            "Where names come from: documented, metadata or filename")
        ->check(CLI::IsMember({"documented", "metadata", "filename"}));
    command.add_flag_function(
        "--openai-aliases,!--no-openai-aliases",
        [flags](std::int64_t given) { flags->openai_aliases = given > 0; },
        "Whether gpt-3.5-turbo, gpt-4 and text-davinci-003 stand for models");
    add_repeated(command, "--alias", "NAME=PATTERN",
                 "An alias for the largest model that fits, e.g. 'coder=*coder*'",
                 [flags](const std::string& word) {
                     auto [alias, pattern] = halves(word, true);
                     flags->alias_rules.push_back({alias, pattern});
                 });
    command
        .add_option_function<std::string>(
            "--group",
            [flags](const std::string& word) { flags->exclusive_group = word == "exclusive"; },
            "One group in which models swap, or none")
        ->check(CLI::IsMember({"exclusive", "none"}));
    command.add_flag_function(
        "--server-watch,!--no-server-watch",
        [flags](std::int64_t given) { flags->watch = given > 0; },
        "Whether a server on the new file renews it by itself when files come and go");
    add_overrides(command, flags);
}

}  // namespace corral
