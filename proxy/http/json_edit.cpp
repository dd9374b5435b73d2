#include "proxy/http/json_edit.hpp"

#include "proxy/http/http_chars.hpp"
#include "proxy/http/utf8.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace corral::http {
namespace {

using Path = std::span<const JsonStep>;

struct Container;

/// A value: its text, or what is inside when an edit went there.
struct Node {
    std::string_view text;
    std::unique_ptr<Container> inside;
};

struct Member {
    std::string_view before;  ///< from the bracket or comma to the value: whitespace, key, colon
    std::string_view key;     ///< between its quotes, as written; of an object only
    Node value;
    std::string after;  ///< from the value to the comma or bracket: whitespace
};

struct Container {
    bool is_object = false;
    std::string blank;  ///< whitespace behind the opening bracket of what was empty
    std::vector<Member> members;
};

constexpr bool is_space(char c) noexcept {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/// [from, to) as far as the text goes: what is no JSON is not read beyond its end.
std::string_view slice(std::string_view text, std::size_t from, std::size_t to) noexcept {
    from = std::min(from, text.size());
    return text.substr(from, to > from ? to - from : 0);
}

std::size_t skip_space(std::string_view text, std::size_t at) noexcept {
    while (at < text.size() && is_space(text[at])) {
        ++at;
    }
    return at;
}

/// Behind the string whose opening quote stands at `at`.
std::size_t end_of_string(std::string_view text, std::size_t at) noexcept {
    const std::size_t first = ++at;
    while (true) {
        at = text.find('"', at);
        if (at == std::string_view::npos) {
            return text.size();
        }
        auto escapes = at;
        while (escapes > first && text[escapes - 1] == '\\') {
            --escapes;
        }
        ++at;
        if ((at - escapes) % 2 == 1) {
            return at;
        }
    }
}

/// Behind the value that begins at `at`.
std::size_t end_of_value(std::string_view text, std::size_t at) noexcept {
    std::size_t depth = 0;
    while (at < text.size()) {
        switch (text[at]) {
            case '"':
                at = end_of_string(text, at);
                break;
            case '{':
            case '[':
                ++depth;
                ++at;
                break;
            case '}':
            case ']':
                if (depth == 0) {
                    return at;  // of what is around a number
                }
                --depth;
                ++at;
                break;
            case ',':
            case ' ':
            case '\t':
            case '\r':
            case '\n':
                if (depth == 0) {
                    return at;
                }
                ++at;
                continue;
            default:
                ++at;
                continue;
        }
        if (depth == 0) {
            return at;
        }
    }
    return at;
}

/// Takes an escape off the text, behind its backslash. Requires: a valid one.
std::uint32_t take_escape(std::string_view& text) noexcept {
    constexpr std::string_view names = "bfnrt";
    constexpr std::string_view values = "\b\f\n\r\t";
    const char name = text.front();
    text.remove_prefix(1);
    if (name != 'u') {
        const auto found = names.find(name);
        return static_cast<unsigned char>(found == std::string_view::npos ? name : values[found]);
    }
    std::uint32_t code = 0;
    for (const char digit : text.substr(0, 4)) {
        const int value = chars::hex_value(static_cast<unsigned char>(digit));
        code = code << 4U | static_cast<std::uint32_t>(std::max(value, 0));
    }
    text.remove_prefix(std::min<std::size_t>(text.size(), 4));
    return code;
}

std::string unescaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto plain = std::min(text.find('\\'), text.size());
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.size() < 2) {
            break;
        }
        text.remove_prefix(1);
        auto code = take_escape(text);
        const bool high = code >= 0xd800 && code < 0xdc00;
        if (high && text.starts_with("\\u")) {
            text.remove_prefix(1);
            code = 0x10000 + ((code - 0xd800) << 10U) + (take_escape(text) - 0xdc00);
        }
        utf8::append(out, code);
    }
    return out;
}

/// Whether a key as written is this one.
bool is_key(std::string_view written, std::string_view key) {
    constexpr std::size_t escape_bytes_max = 6;  // of one byte
    if (written.size() < key.size() || written.size() > escape_bytes_max * key.size()) {
        return false;
    }
    if (written.find('\\') == std::string_view::npos) {
        return written == key;
    }
    return unescaped(written) == key;
}

void append_to(std::string& out, const Node& node) {
    if (!node.inside) {
        out += node.text;
        return;
    }
    const Container& inside = *node.inside;
    out += inside.is_object ? '{' : '[';
    out += inside.blank;
    bool first = true;
    for (const auto& member : inside.members) {
        if (!std::exchange(first, false)) {
            out += ',';
        }
        out += member.before;
        append_to(out, member.value);
        out += member.after;
    }
    out += inside.is_object ? '}' : ']';
}

class Editor {
public:
    explicit Editor(std::string_view document) {
        const auto begin = skip_space(document, 0);
        const auto end = end_of_value(document, begin);
        before_ = document.substr(0, begin);
        root_.text = slice(document, begin, end);
        after_ = slice(document, end, document.size());
    }

    Result<void> apply(const JsonEdit& edit) {
        if (edit.kind == JsonEdit::Kind::remove) {
            return remove(root_, edit.path);
        }
        return set(root_, edit.path, edit.json);
    }

    [[nodiscard]] std::string text(std::size_t bytes) const {
        std::string out;
        out.reserve(bytes);
        out += before_;
        append_to(out, root_);
        out += after_;
        return out;
    }

private:
    static Error misfit(std::string_view why) {
        return {Errc::bad_request, Blame::client, std::string(why)};
    }
    static Error too_many() {
        return misfit("the JSON document has more than " + std::to_string(json_edit_members_max) +
                      " members where it has to be changed");
    }

    std::string_view own(std::string text) { return owned_.emplace_back(std::move(text)); }

    /// What is inside a value; nullptr when it is neither object nor array.
    Result<Container*> open(Node& node) {
        if (node.inside) {
            return node.inside.get();
        }
        const auto text = node.text;
        if (!text.starts_with('{') && !text.starts_with('[')) {
            return nullptr;
        }
        auto inside = std::make_unique<Container>();
        inside->is_object = text.front() == '{';
        std::size_t at = skip_space(text, 1);
        if (at + 1 >= text.size()) {
            inside->blank = slice(text, 1, at);
        }
        for (std::size_t from = 1; at + 1 < text.size();) {
            if (++members_ > json_edit_members_max) {
                return too_many();
            }
            Member& member = inside->members.emplace_back();
            if (inside->is_object) {
                const auto key_end = end_of_string(text, at);
                member.key = slice(text, at + 1, key_end - 1);
                at = skip_space(text, skip_space(text, key_end) + 1);  // the colon
            }
            const auto end = end_of_value(text, at);
            member.before = slice(text, from, at);
            member.value.text = slice(text, at, end);
            at = skip_space(text, end);
            member.after = slice(text, end, at);
            from = at + 1;  // the comma, or the bracket at the end
            at = skip_space(text, from);
        }
        node.inside = std::move(inside);
        return node.inside.get();
    }

    Result<void> set(Node& node, Path path, std::string_view json) {
        if (path.empty()) {
            node.inside.reset();
            node.text = json;
            return {};
        }
        const auto opened = open(node);
        if (!opened) {
            return opened.error();
        }
        Container* const inside = *opened;
        if (inside == nullptr) {
            auto made = make(path, json);
            if (!made) {
                return made.error();
            }
            node.text = own(std::move(*made));
            return {};
        }
        return inside->is_object ? set_member(*inside, path, json)
                                 : set_element(*inside, path, json);
    }

    Result<void> set_member(Container& object, Path path, std::string_view json) {
        bool found = false;
        for (auto& member : object.members) {
            if (!is_key(member.key, path.front().key)) {
                continue;
            }
            found = true;
            if (auto done = set(member.value, path.subspan(1), json); !done) {
                return done;
            }
        }
        return found ? Result<void>() : append(object, path, json);
    }

    Result<void> set_element(Container& array, Path path, std::string_view json) {
        const JsonStep& step = path.front();
        if (!step.index && !step.is_end) {
            return misfit("an array has no key \"" + step.key + "\"");
        }
        const auto index = step.index.value_or(array.members.size());
        if (index < array.members.size()) {
            return set(array.members[index].value, path.subspan(1), json);
        }
        if (index - array.members.size() > json_edit_padding_max) {
            return misfit("an array ends far before " + step.key);
        }
        while (array.members.size() < index) {
            if (++members_ > json_edit_members_max) {
                return too_many();
            }
            array.members.emplace_back().value.text = "null";
        }
        return append(array, path, json);
    }

    /// Puts a new member or element behind the last.
    Result<void> append(Container& container, Path path, std::string_view json) {
        if (++members_ > json_edit_members_max) {
            return too_many();
        }
        auto made = make(path.subspan(1), json);
        if (!made) {
            return made.error();
        }
        Member& member = container.members.emplace_back();
        member.value.text = own(std::move(*made));
        if (container.is_object) {
            const auto quoted = own(json_quoted(path.front().key) + ":");
            member.before = quoted;
            member.key = quoted.substr(1, quoted.size() - 3);
        }
        return {};
    }

    /// The value with the parents that the path asks for.
    static Result<std::string> make(Path path, std::string_view json) {
        std::string head;
        std::string tail;
        for (const auto& step : path) {
            if (step.index || step.is_end) {
                const auto padding = step.index.value_or(0);
                if (padding > json_edit_padding_max) {
                    return misfit("an array ends far before " + step.key);
                }
                head += '[';
                for (std::size_t i = 0; i < padding; ++i) {
                    head += "null,";
                }
                tail += ']';
            } else {
                head += '{' + json_quoted(step.key) + ':';
                tail += '}';
            }
        }
        std::reverse(tail.begin(), tail.end());
        return head.append(json) + tail;
    }

    Result<void> remove(Node& node, Path path) {
        const auto opened = open(node);
        if (!opened) {
            return opened.error();
        }
        Container* const inside = *opened;
        if (inside == nullptr) {
            return {};
        }
        const JsonStep& step = path.front();
        const auto count = inside->members.size();
        const auto index = step.is_end && count > 0 ? count - 1 : step.index.value_or(count);
        const auto is_meant = [&](std::size_t i) {
            return inside->is_object ? is_key(inside->members[i].key, step.key) : i == index;
        };
        if (path.size() == 1) {
            erase_if(*inside, is_meant);
            return {};
        }
        for (std::size_t i = 0; i < count; ++i) {
            if (!is_meant(i)) {
                continue;
            }
            if (auto done = remove(inside->members[i].value, path.subspan(1)); !done) {
                return done;
            }
        }
        return {};
    }

    /// With the comma before it goes what stands between that and the value; the first member takes
    /// the comma behind it along. Whitespace before the next comma or bracket stays.
    template <class IsMeant>
    static void erase_if(Container& container, const IsMeant& is_meant) {
        auto& members = container.members;
        std::size_t kept = 0;
        for (std::size_t i = 0; i < members.size(); ++i) {
            if (is_meant(i)) {
                if (kept > 0) {
                    members[kept - 1].after += members[i].after;
                } else if (i + 1 == members.size()) {
                    container.blank += members[i].after;
                }
                continue;
            }
            if (kept != i) {
                members[kept] = std::move(members[i]);
            }
            ++kept;
        }
        members.resize(kept);
    }

    std::string_view before_, after_;  ///< whitespace around the document
    Node root_;
    std::deque<std::string> owned_;  ///< what was made; nodes look at it
    std::size_t members_ = 0;
};

}  // namespace

Result<std::string> edit_json(std::string_view document, std::span<const JsonEdit> edits) {
    Editor editor(document);
    std::size_t bytes = document.size();
    for (const auto& edit : edits) {
        if (auto done = editor.apply(edit); !done) {
            return done.error();
        }
        bytes += edit.json.size() + 64;  // and its keys; a guess that saves a second copy
    }
    return editor.text(bytes);
}

std::string json_quoted(std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace corral::http
