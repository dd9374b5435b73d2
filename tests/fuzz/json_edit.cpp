// Edits of a document's text mean what they mean on the parsed document, and bytes outside them
// stay. Input: a line for each edit (`path` to remove, `path=value` to set), an empty line, the
// document. What is not JSON must only not crash.

#include "proxy/http/model_field.hpp"
#include "tests/support/json_reference.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace corral::http;

namespace {

constexpr std::size_t edits_max = 16;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

bool accepted(std::string_view text) {
    ModelField scanner;
    static_cast<void>(scanner.feed(text));
    return scanner.finish() == Verdict::complete && text.find('\0') == std::string_view::npos;
}

/// As nlohmann reads it; discarded when a number is too large for a double.
reference::Json parse(std::string_view text) {
    return reference::Json::parse(text, nullptr, false);
}

std::vector<JsonEdit> take_edits(std::string_view& text) {
    std::vector<JsonEdit> out;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.empty()) {
            break;
        }
        const auto equals = std::min(line.find('='), line.size());
        auto path = parse_json_path(line.substr(0, equals));
        JsonEdit edit;
        edit.kind = equals == line.size() ? JsonEdit::Kind::remove : JsonEdit::Kind::set;
        edit.json = line.substr(std::min(equals + 1, line.size()));
        const bool is_value = edit.kind == JsonEdit::Kind::remove ||
                              (accepted(edit.json) && !parse(edit.json).is_discarded() &&
                               edit.json.find_first_of(" \t\r") == std::string::npos);
        if (path && is_value && out.size() < edits_max) {
            edit.path = std::move(*path);
            out.push_back(std::move(edit));
        }
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto edits = take_edits(text);
    const auto got = edit_json(text, edits);
    if (!accepted(text)) {
        return 0;
    }
    auto want = parse(text);
    if (want.is_discarded()) {
        return 0;
    }
    // A key that is not UTF-8 cannot be told in JSON, and of keys that are given twice nlohmann
    // keeps one, which need not be the one that is refused.
    const bool keys_are_text = std::all_of(edits.begin(), edits.end(), [](const JsonEdit& edit) {
        return std::all_of(edit.path.begin(), edit.path.end(), [](const JsonStep& step) {
            return !parse(json_quoted(step.key)).is_discarded() &&
                   parse(json_quoted(step.key)) == step.key;
        });
    });
    if (!got || !keys_are_text) {
        return 0;
    }
    require(reference::apply(want, edits));
    require(parse(*got) == want);
    if (edits.empty()) {
        require(*got == text);
    }
    return 0;
}
