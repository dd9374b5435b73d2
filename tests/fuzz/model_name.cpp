// Fuzzes names made from file names: whatever the bytes, the result is not empty, stays within the
// safe alphabet, and a plain name is its own plain name.

#include "discovery/naming.hpp"
#include "discovery/text.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

bool is_safe(std::string_view name) {
    return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-:") ==
                                std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const corral::FileNameParts parts = corral::read_file_name(text);
    require(is_safe(parts.name));
    require(is_safe(parts.readable));
    require(!parts.billions || *parts.billions >= 0);
    const std::string plain = corral::plain_name(text);
    require(corral::plain_name(plain) == plain);
    if (const auto part = corral::read_part_number(text)) {
        require(part->number <= 99'999 && part->count <= 99'999);
    }
    (void)corral::read_size_label(text);
    (void)corral::is_partial_download(text);
    if (corral::is_plain_utf8(text)) {
        require(corral::yaml_quoted(text).size() >= size + 2);
    }
    return 0;
}
