// A command line never crashes the splitter, and every word that comes out of it goes through
// quote_word and comes back byte for byte; so does the input itself as one word.

#include "core/command_line.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace corral;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto as_one = split_command_line(quote_word(text));
    require(as_one && *as_one == std::vector<std::string>{std::string(text)});

    // Dropping comment lines first, as the loader does, changes nothing.
    const auto words = split_command_line(text);
    const auto stripped = split_command_line(strip_comment_lines(text));
    require(words.has_value() == stripped.has_value());
    if (!words) {
        return 0;
    }
    require(*words == *stripped);
    std::string again;
    for (const auto& word : *words) {
        again += quote_word(word) + " ";
    }
    const auto back = split_command_line(again);
    require(back && *back == *words);
    return 0;
}
