#include "app/arguments.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace corral {
namespace {

/// The flags of llama-swap, which Go's flag package takes with one dash or two.
constexpr std::array<std::string_view, 7> peer_flags{
    "config", "config-dir", "listen", "watch-config", "tls-cert-file", "tls-key-file", "version"};

constexpr std::array<std::string_view, 5> commands{"serve", "check", "scan", "regenerate",
                                                   "schema"};
constexpr std::array<std::string_view, 4> program_flags{"--help", "-h", "--version", "--help-all"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

/// `-config=x` → `--config=x`; anything else stays.
std::string two_dashes(const std::string& word) {
    if (word.size() < 3 || word[0] != '-' || word[1] == '-') {
        return word;
    }
    const std::string_view name = std::string_view(word).substr(1, word.find('=') - 1);
    return contains(peer_flags, name) ? "-" + word : word;
}

/// Go's boolean flags take `=true`; CLI11's flags do, too, but only after two dashes and lower
/// case.
std::string plain_bool(const std::string& word) {
    if (word == "--watch-config=true" || word == "--watch-config=1") {
        return "--watch-config";
    }
    return word;
}

}  // namespace

std::vector<std::string> normalize_arguments(std::vector<std::string> words) {
    const auto end = std::find(words.begin(), words.end(), "--");
    std::transform(words.begin(), end, words.begin(),
                   [](const std::string& word) { return plain_bool(two_dashes(word)); });
    std::erase_if(words, [](const std::string& word) {
        return word == "--watch-config=false" || word == "--watch-config=0";
    });
    const bool named = !words.empty() && contains(commands, words.front());
    const bool about_program =
        std::any_of(words.begin(), words.end(),
                    [](const std::string& word) { return word == "--version"; }) ||
        (!words.empty() && contains(program_flags, words.front()));
    if (!named && !about_program) {
        words.insert(words.begin(), "serve");
    }
    return words;
}

}  // namespace corral
