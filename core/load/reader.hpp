#pragma once
// Reads typed values out of the tree for one owner (the file itself, or one model): expands macros,
// reports what is unknown or has the wrong type in the words of yaml.v3. One thread.

#include "core/load/macros.hpp"
#include "core/load/report.hpp"
#include "core/load/yaml_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::load {

/// A text of a list, and where it stands.
struct PlacedText {
    std::string text;
    Mark mark;
};

class Reader {
public:
    /// `model` is empty for what belongs to the file itself. All references must outlive it.
    Reader(Report& report, const MacroScope& scope, MacroBudget& budget, std::string model = {});

    // Each returns nullopt for null (the default holds) and, after reporting it, for a value that
    // cannot be used. `path` names the key below the owner: "ttl", "hooks.on_startup.preload".
    [[nodiscard]] std::optional<bool> boolean(const Node& node, std::string_view path);
    [[nodiscard]] std::optional<std::int64_t> integer(const Node& node, std::string_view path);
    [[nodiscard]] std::optional<std::string> text(const Node& node, std::string_view path);
    [[nodiscard]] std::optional<std::vector<PlacedText>> texts(const Node& node,
                                                               std::string_view path);
    /// The value of a scalar of any type, expanded.
    [[nodiscard]] std::optional<Value> scalar(const Node& node, std::string_view path);
    /// A command: comment lines dropped before macros are expanded.
    [[nodiscard]] std::optional<std::string> command(const Node& node, std::string_view path);

    /// A key whose macros are expanded, unlike those of all other keys; `path` names its map.
    [[nodiscard]] std::optional<std::string> key(const Node& node, std::string_view path);

    /// Looks for unknown macros in everything below the node.
    void check_macros(const Node& node, std::string_view path);

    /// `cannot unmarshal !!str `abc` into int`, with the path in front.
    void type_error(const Node& node, std::string_view path, std::string_view wanted);

    /// The owner and the path as they begin a message: "model m ttl", "globalTTL".
    [[nodiscard]] std::string place(std::string_view path) const;

    /// Whether ${PORT} may be used; a model says so when it has read its cmd.
    void allow_port(bool allowed) { port_allowed_ = allowed; }
    /// From now on ${PORT} becomes this number, for values that are not expanded again when the
    /// model starts.
    void fill_port(std::uint16_t port) { port_ = port; }

    /// Takes from the budget of all expansions; false when it is used up.
    [[nodiscard]] bool spend(std::size_t bytes) noexcept { return budget_.spend(bytes); }

    [[nodiscard]] Report& report() { return report_; }

private:
    [[nodiscard]] std::optional<Value> expanded(const Node& node, Value value,
                                                std::string_view path);
    [[nodiscard]] bool check_unknown(const Node& node, const Value& value, std::string_view path);
    void replace_port(Value& value) const;

    Report& report_;
    const MacroScope& scope_;
    MacroBudget& budget_;
    std::string model_;
    bool port_allowed_ = false;
    std::uint16_t port_ = 0;  ///< 0: ${PORT} stays
};

}  // namespace corral::load
