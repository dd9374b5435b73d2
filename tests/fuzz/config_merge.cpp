// Fuzzes the merge of a config: whatever the file holds, its pieces are the file, what is merged
// merges again into itself, and no line outside of scan's own untouched blocks is lost.

#include "discovery/config_merge.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

corral::GeneratedBlock model(const std::string& id, bool other) {
    return {"/m/" + id, id, "  # why\n  \"" + id + "\":\n    ttl: " + (other ? "1" : "2") + "\n"};
}

std::string group_body(const std::vector<std::string>& members) {
    std::string text = "  default_group:\n    members:\n";
    for (const std::string& member : members) {
        text += "      - " + member + "\n";
    }
    return text;
}

/// Without its line ending, and without what models: {} loses.
std::string_view bare(std::string_view line) {
    line = line.substr(0, line.find_last_not_of("\r\n") + 1);
    return line;
}

bool may_change(std::string_view line) {
    const std::string key = corral::key_of_line(line);
    return key == "models" || key == "groups" || line.starts_with("\xef\xbb\xbf");
}

/// Every line that is somebody's own stands in the result, in its order.
void require_kept(const std::vector<corral::ConfigPiece>& pieces, std::string_view after) {
    const std::vector<std::string_view> lines = corral::split_lines(after);
    auto at = lines.begin();
    for (const corral::ConfigPiece& piece : pieces) {
        if (piece.is_block && !piece.block.is_edited()) {
            continue;
        }
        const std::string& text = piece.is_block ? piece.block.body : piece.text;
        for (const std::string_view line : corral::split_lines(text)) {
            if (may_change(line)) {
                continue;
            }
            at = std::find_if(at, lines.end(), [&](std::string_view other) {
                return bare(other) == bare(line) ||
                       (piece.is_block && bare(other).ends_with(bare(line)));
            });
            require(at != lines.end());
            ++at;
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const unsigned choice = data[0];
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::vector<corral::ConfigPiece> pieces = corral::split_config(text);
    require(corral::join_config(pieces) == text);

    corral::MergeInput input;
    input.existing = text;
    for (unsigned i = 0; i < 3; ++i) {
        if ((choice >> i) & 1U) {
            input.models.push_back(model(std::string(1, static_cast<char>('a' + i)), choice & 8U));
        }
    }
    if (choice & 16U) {
        input.deleted.insert("/m/b");
    }
    if (choice & 32U) {
        input.moved.emplace("/old/a", "/m/a");
    }
    input.comment_out = (choice & 64U) == 0;
    input.group_id = (choice & 128U) ? "default_group" : "";
    input.today = "2026-11-26";
    input.group_body = group_body;
    const auto once = corral::merge_config(input);
    if (!once) {
        return 0;
    }
    require_kept(pieces, once->text);
    input.existing = once->text;
    input.today = "2027-01-01";
    const auto twice = corral::merge_config(input);
    require(twice.has_value());
    require(twice->text == once->text);
    return 0;
}
