#pragma once
// YAML text as a bounded tree with places. Adds what yaml-cpp leaves out: duplicate keys, merge
// keys, cycles, budgets for depth, for memory and for nodes counted at each use of an alias,
// unterminated quotes at the end, and ${env.NAME}. Pure; one thread at a time.

#include "core/load/report.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::load {

struct Node;

struct Entry {
    const Node* key;
    const Node* value;
};

/// What a scalar's explicit tag says; `plain` is an untagged scalar without quotes.
enum class Tag : std::uint8_t { plain, text, integer, number, boolean };

/// One node. Aliases share the node that they name.
struct Node {
    enum class Kind : std::uint8_t { null, scalar, sequence, map };
    Kind kind = Kind::null;
    Tag tag = Tag::plain;
    bool from_environment = false;  ///< holds the value of an environment variable: never print it
    Mark mark;
    std::string text;                ///< of a scalar
    std::vector<const Node*> items;  ///< of a sequence
    std::vector<Entry> entries;      ///< of a map; keys are scalars or null, each text once
    std::size_t weight = 1;          ///< nodes below and itself, each use of an alias counted
    std::size_t bytes = 0;           ///< of the texts below and of its own, counted likewise
    std::uint32_t height = 1;        ///< levels, itself included

    [[nodiscard]] bool is_map() const noexcept { return kind == Kind::map; }
    [[nodiscard]] bool is_sequence() const noexcept { return kind == Kind::sequence; }
    [[nodiscard]] bool is_scalar() const noexcept { return kind == Kind::scalar; }
    [[nodiscard]] bool is_null() const noexcept { return kind == Kind::null; }
    /// The value of this key, or nullptr. Linear.
    [[nodiscard]] const Node* find(std::string_view key) const noexcept;
};

/// What trees have cost that are to become one: TreeLimits are for all of them together.
struct TreeCost {
    std::size_t nodes = 0;  ///< each use of an alias counted
    std::size_t bytes = 0;  ///< of texts, likewise
};

/// Owns the nodes. Moving it keeps their addresses.
struct Tree {
    Tree() = default;
    Tree(Tree&&) = default;
    Tree& operator=(Tree&&) = default;
    Tree(const Tree&) = delete;  // a copy's root would be the other tree's
    Tree& operator=(const Tree&) = delete;
    ~Tree() = default;

    std::deque<Node> nodes;
    std::vector<Tree> parts;     ///< whose nodes it uses, too
    const Node* root = nullptr;  ///< never nullptr in a tree that was returned
};

struct TreeLimits {
    std::size_t text_bytes_max = 16U << 20U;
    std::size_t nodes_max = 500'000;              ///< each use of an alias counted
    std::size_t expanded_bytes_max = 64U << 20U;  ///< of texts, each use of an alias counted
    std::uint32_t depth_max = 64;
    std::size_t held_weight_max = 750'000;  ///< of one flow collection, see MeteredText
};

/// Looks up an environment variable; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string&)>;

/// Reads the first document of a text that `report` knows as `file`. Mistakes go to `report`;
/// nullopt when there is no tree to work with. An empty text is a tree whose root is null. What it
/// costs is added to `spent`, which holds what the files before it have cost.
[[nodiscard]] std::optional<Tree> parse_yaml(std::string_view text, const Environment& environment,
                                             Report& report, const TreeLimits& limits, int file,
                                             TreeCost& spent);
/// The same for a file that stands alone.
[[nodiscard]] std::optional<Tree> parse_yaml(std::string_view text, const Environment& environment,
                                             Report& report, const TreeLimits& limits = {});

}  // namespace corral::load
