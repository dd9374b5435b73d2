#include "core/load/reader.hpp"

#include "core/command_line.hpp"
#include "core/config.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace corral::load {
namespace {

/// Fields whose unknown macros llama-swap reports as `found in MODEL.FIELD`.
constexpr std::array<std::string_view, 7> named_fields{
    "cmd", "cmdStop", "proxy", "checkEndpoint", "filters.stripParams", "name", "description"};

std::string_view kind_name(const Node& node) {
    return node.is_map() ? "!!map" : node.is_sequence() ? "!!seq" : "!!null";
}

std::string quote(std::string_view name) {
    return "'${" + std::string(name) + "}'";
}

/// The part of a path that llama-swap names when a macro in it is unknown.
std::string_view macro_place(std::string_view path) {
    constexpr std::string_view capabilities = "capabilities";
    return path.starts_with(capabilities) ? capabilities : path;
}

}  // namespace

Reader::Reader(Report& report, const MacroScope& scope, MacroBudget& budget, std::string model)
    : report_(report), scope_(scope), budget_(budget), model_(std::move(model)) {}

std::string Reader::place(std::string_view path) const {
    if (model_.empty()) {
        return std::string(path);
    }
    return "model " + model_ + (path.empty() ? "" : " ") + std::string(path);
}

void Reader::type_error(const Node& node, std::string_view path, std::string_view wanted) {
    std::string what;
    if (node.is_scalar()) {
        const Value value = resolve(node);
        what = std::string(tag_name(value));
        if (!node.from_environment) {
            const auto& text = node.text;
            what += " `" + (text.size() > 10 ? text.substr(0, 7) + "..." : text) + "`";
        }
    } else {
        what = kind_name(node);
    }
    report_.error(node.mark,
                  place(path) + ": cannot unmarshal " + what + " into " + std::string(wanted));
}

std::optional<bool> Reader::boolean(const Node& node, std::string_view path) {
    if (node.is_null()) {
        return std::nullopt;
    }
    const auto value = node.is_scalar() ? scalar(node, path) : Value();
    if (!value) {
        return std::nullopt;
    }
    const auto flag = to_bool(*value);
    if (!flag) {
        type_error(node, path, "bool (true or false)");
    }
    return flag;
}

std::optional<std::int64_t> Reader::integer(const Node& node, std::string_view path) {
    if (node.is_null()) {
        return std::nullopt;
    }
    const auto value = node.is_scalar() ? scalar(node, path) : Value();
    if (!value) {
        return std::nullopt;
    }
    const auto whole = to_integer(*value);
    if (!whole) {
        type_error(node, path, "int (a whole number)");
    } else if (const auto* number = std::get_if<double>(&*value);
               number != nullptr && *number != static_cast<double>(*whole)) {
        report_.warn(node.mark, place(path) + ": only the whole number " + std::to_string(*whole) +
                                    " of " + to_text(*value) + " is used");
    }
    return whole;
}

std::optional<std::string> Reader::text(const Node& node, std::string_view path) {
    if (node.is_null()) {
        return std::nullopt;
    }
    if (!node.is_scalar()) {
        type_error(node, path, "string");
        return std::nullopt;
    }
    Value value = resolve(node);
    if (!std::holds_alternative<std::string>(value)) {
        return node.text;  // `name: 1.0` means what is written
    }
    const auto result = expanded(node, std::move(value), path);
    return result ? std::optional(to_text(*result)) : std::nullopt;
}

std::optional<std::vector<PlacedText>> Reader::texts(const Node& node, std::string_view path) {
    if (node.is_null()) {
        return std::nullopt;
    }
    if (!node.is_sequence()) {
        type_error(node, path, "[]string (a list)");
        return std::nullopt;
    }
    std::vector<PlacedText> out;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        const Node& item = *node.items[i];
        const std::string at = std::string(path) + "[" + std::to_string(i) + "]";
        if (item.is_null()) {
            out.push_back({"", item.mark});
        } else if (auto value = text(item, at)) {
            out.push_back({std::move(*value), item.mark});
        }
    }
    return out;
}

std::optional<Value> Reader::scalar(const Node& node, std::string_view path) {
    return expanded(node, resolve(node), path);
}

std::optional<std::string> Reader::command(const Node& node, std::string_view path) {
    if (!node.is_scalar()) {
        return text(node, path);
    }
    const auto result = expanded(node, Value(strip_comment_lines(node.text)), path);
    return result ? std::optional(to_text(*result)) : std::nullopt;
}

std::optional<std::string> Reader::key(const Node& node, std::string_view path) {
    auto result = scope_.expand(node.text, budget_);
    if (!result) {
        report_.error(node.mark, place(path) + ": " + result.error().detail);
        return std::nullopt;
    }
    replace_port(*result);
    std::string text = to_text(*result);
    if (const auto macro = find_macro(text, 0)) {
        report_.error(node.mark,
                      "unknown macro " + quote(macro->name) + " found in " + place(path) + " key");
        return std::nullopt;
    }
    return text;
}

void Reader::check_macros(const Node& node, std::string_view path) {
    if (node.is_scalar()) {
        static_cast<void>(scalar(node, path));
    }
    for (const Node* item : node.items) {
        check_macros(*item, path);
    }
    for (const Entry& entry : node.entries) {
        check_macros(*entry.value, path);
    }
}

std::optional<Value> Reader::expanded(const Node& node, Value value, std::string_view path) {
    auto result = scope_.expand(std::move(value), budget_);
    if (!result) {
        report_.error(node.mark, place(path) + ": " + result.error().detail);
        return std::nullopt;
    }
    replace_port(*result);
    if (!check_unknown(node, *result, path)) {
        return std::nullopt;
    }
    return std::move(*result);
}

void Reader::replace_port(Value& value) const {
    auto* text = std::get_if<std::string>(&value);
    if (port_ == 0 || text == nullptr || text->find("${PORT}") == std::string::npos) {
        return;
    }
    if (*text == "${PORT}") {
        value = static_cast<std::int64_t>(port_);
    } else {
        *text = replace_macro(*text, "PORT", std::to_string(port_));
    }
}

bool Reader::check_unknown(const Node& node, const Value& value, std::string_view path) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) {
        return true;
    }
    for (auto at = find_macro(*text, 0); at; at = find_macro(*text, at->end)) {
        const bool may_have_pid =
            path == "cmdStop" || (!model_.empty() && path.starts_with("hooks."));
        if (at->name == "PID" && may_have_pid) {
            continue;
        }
        const bool port = at->name == "PORT" && !model_.empty();
        if (port && (port_allowed_ || path == "cmd" || path == "proxy")) {
            continue;  // the proxy's case has its own message
        }
        std::string hint =
            port ? "${PORT} is only available when it is used in cmd"
                 : "a macro can use macros above it, and ${env.NAME} reads the environment";
        const std::string nearest = report_.full() ? "" : scope_.nearest(at->name);
        if (!port && !nearest.empty() && nearest != at->name) {
            hint = "did you mean ${" + nearest + "}?";
        }
        const bool named =
            std::find(named_fields.begin(), named_fields.end(), path) != named_fields.end();
        report_.error(node.mark,
                      !model_.empty() && named
                          ? "unknown macro " + quote(at->name) + " found in " + model_ + "." +
                                std::string(path)
                          : place(macro_place(path)) + ": unknown macro " + quote(at->name),
                      hint);
        return false;
    }
    return true;
}

}  // namespace corral::load
