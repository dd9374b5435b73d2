#include "proxy/http/json_path.hpp"

#include "proxy/http/http_chars.hpp"

#include <charconv>

namespace corral::http {
namespace {

constexpr std::size_t index_digits_max = 9;  // more is a key only

Error no_path(std::string_view text, std::string_view why) {
    return {Errc::unsupported, Blame::internal,
            "the path \"" + std::string(text) + "\" " + std::string(why)};
}

JsonStep step_of(std::string key, bool is_key) {
    JsonStep out;
    out.key = std::move(key);
    if (is_key) {
        return out;
    }
    out.is_end = out.key == "-1";
    if (out.key.size() <= index_digits_max && chars::all_of(out.key, chars::digit)) {
        std::size_t index = 0;
        std::from_chars(out.key.data(), out.key.data() + out.key.size(), index);
        out.index = index;
    }
    return out;
}

}  // namespace

Result<JsonPath> parse_json_path(std::string_view text) {
    constexpr std::string_view several = "*?#|@";
    JsonPath out;
    std::size_t at = 0;
    while (true) {
        const bool is_key = at < text.size() && text[at] == ':';
        at += is_key ? 1 : 0;
        std::string key;
        for (; at < text.size() && text[at] != '.'; ++at) {
            if (several.find(text[at]) != std::string_view::npos) {
                return no_path(text, "does not name one place: put \\ before * ? # | @");
            }
            if (text[at] == '\\' && ++at == text.size()) {
                break;
            }
            key += text[at];
        }
        if (key.empty()) {
            return no_path(text, "has an empty step");
        }
        if (out.size() == json_path_steps_max) {
            return no_path(text, "has too many steps");
        }
        out.push_back(step_of(std::move(key), is_key));
        if (at >= text.size()) {
            return out;
        }
        ++at;  // the dot
    }
}

}  // namespace corral::http
