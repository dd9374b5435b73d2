#include "core/load/yaml_tree.hpp"

#include "core/load/metered_text.hpp"
#include "core/load/yaml_text.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <istream>
#include <unordered_map>
#include <utility>

namespace corral::load {
namespace {

/// Ends the parse; caught in parse_yaml().
struct Stop {
    Mark mark;
    std::string message;
    std::string hint;
};

Mark from(const YAML::Mark& mark, int file) {
    return {mark.line + 1, mark.column + 1, file};
}

Tag tag_of(std::string_view tag) {
    constexpr std::string_view core = "tag:yaml.org,2002:";
    if (tag == "?" || tag.empty()) {
        return Tag::plain;
    }
    if (tag.starts_with(core)) {
        tag.remove_prefix(core.size());
        if (tag == "int") {
            return Tag::integer;
        }
        if (tag == "float") {
            return Tag::number;
        }
        if (tag == "bool") {
            return Tag::boolean;
        }
    }
    return Tag::text;  // "!" for quoted scalars, and every tag without a meaning here
}

/// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
public:
    Builder(MeteredText& source, const Environment& environment, Report& report,
            const TreeLimits& limits, int file, TreeCost& spent)
        : source_(source),
          environment_(environment),
          report_(report),
          limits_(limits),
          file_(file),
          spent_(spent) {}

    Tree take() { return std::move(tree_); }
    [[nodiscard]] bool has_root() const { return tree_.root != nullptr; }
    /// Where the last quoted scalar began, in bytes of the text; npos when another one followed.
    [[nodiscard]] std::size_t last_quote() const { return last_quote_; }

    void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        Node& node = make(Node::Kind::null, place(mark));
        if (!open_.empty() && open_.back().key != nullptr) {
            node.mark = open_.back().key->mark;  // the parser's is that of the next token
        }
        name(anchor, &node, node.mark);
        add(node);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        source_.handed_out();
        const auto at = anchors_.find(anchor);
        if (at == anchors_.end() || at->second == nullptr) {
            throw Stop{place(mark), "anchor value contains itself",
                       "an alias (*name) cannot stand inside the node that its anchor names"};
        }
        spend(at->second->weight, at->second->bytes, place(mark));
        add(*at->second);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        Node& node = make(Node::Kind::scalar, place(mark));
        node.tag = tag_of(tag);
        node.text = value;
        reveal_environment(node);
        node.bytes = node.text.size();
        spend(0, node.bytes, node.mark);
        last_quote_ = static_cast<std::size_t>(std::max(mark.pos, 0));
        name(anchor, &node, node.mark);
        add(node);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value /*style*/) override {
        open(Node::Kind::sequence, place(mark), anchor);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value /*style*/) override {
        open(Node::Kind::map, place(mark), anchor);
    }
    void OnMapEnd() override {
        finish_map(*open_.back().node);
        close();
    }

private:
    struct Open {
        Node* node;
        const Node* key;  ///< of a map: read, and its value not yet
        YAML::anchor_t anchor;
    };

    [[nodiscard]] Mark place(const YAML::Mark& mark) const { return from(mark, file_); }

    void spend(std::size_t nodes, std::size_t bytes, Mark mark) {
        spent_.nodes += nodes;
        spent_.bytes += bytes;
        if (spent_.bytes > limits_.expanded_bytes_max) {
            throw Stop{mark,
                       "too large: more than " + std::to_string(limits_.expanded_bytes_max) +
                           " bytes of text, each use of an alias counted",
                       ""};
        }
        if (spent_.nodes > limits_.nodes_max) {
            throw Stop{mark,
                       "too many nodes: more than " + std::to_string(limits_.nodes_max) +
                           ", each use of an alias counted",
                       ""};
        }
    }

    Node& make(Node::Kind kind, Mark mark) {
        source_.handed_out();
        spend(1, 0, mark);
        if (open_.size() >= limits_.depth_max) {
            too_deep(mark);
        }
        Node& node = tree_.nodes.emplace_back();
        node.kind = kind;
        node.mark = mark;
        return node;
    }

    [[noreturn]] void too_deep(Mark mark) const {
        throw Stop{mark,
                   "nested too deep: more than " + std::to_string(limits_.depth_max) + " levels",
                   ""};
    }

    /// The parser and we remember an anchor; that costs as much as a node.
    void name(YAML::anchor_t anchor, const Node* node, Mark mark) {
        if (anchor != YAML::NullAnchor && anchors_.insert_or_assign(anchor, node).second) {
            spend(1, 0, mark);
        }
    }

    void open(Node::Kind kind, Mark mark, YAML::anchor_t anchor) {
        Node& node = make(kind, mark);
        name(anchor, nullptr, mark);  // known, but not yet whole: an alias to it would be a cycle
        open_.push_back({&node, nullptr, anchor});
    }

    void close() {
        const Open done = open_.back();
        open_.pop_back();
        name(done.anchor, done.node, done.node->mark);
        add(*done.node);
    }

    /// Puts a finished node where it belongs: the root, an item, a key or a value.
    void add(const Node& node) {
        if (open_.empty()) {
            tree_.root = &node;
            return;
        }
        if (open_.size() + node.height > limits_.depth_max) {
            too_deep(node.mark);
        }
        Open& parent = open_.back();
        parent.node->weight += node.weight;
        parent.node->bytes += node.bytes;
        parent.node->height = std::max(parent.node->height, node.height + 1);
        if (parent.node->is_sequence()) {
            parent.node->items.push_back(&node);
        } else if (parent.key == nullptr) {
            if (!node.is_scalar() && !node.is_null()) {
                throw Stop{node.mark, "invalid map key: a list or a mapping cannot be a key", ""};
            }
            parent.key = &node;
        } else {
            parent.node->entries.push_back({std::exchange(parent.key, nullptr), &node});
        }
    }

    /// How a message about it begins: with several files the peer names the one that is meant.
    [[nodiscard]] std::string variable(const std::string& name) const {
        const std::string who =
            report_.has_several_files() ? "config " + report_.file_name(file_) + ": " : "";
        return who + "environment variable '" + name + "'";
    }

    /// The value of a variable, or the macro as it was written after saying why there is none.
    std::string value_of(const std::string& name, Node& node) {
        auto value = environment_ ? environment_(name) : std::nullopt;
        if (!value) {
            report_.error(node.mark, variable(name) + " is not set");
        } else if (value->find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
            report_.error(node.mark, variable(name) +
                                         " contains newlines or null bytes which are not allowed "
                                         "in YAML substitution");
        } else {
            node.from_environment = true;
            return std::move(*value);
        }
        return "${env." + name + "}";
    }

    /// Puts in the values of variables, once: `${env.X}` in a value stays as it is. Other macros in
    /// it are expanded later, as if the value had been typed into the file: so does llama-swap.
    void reveal_environment(Node& node) {
        auto macro = find_hidden_macro(node.text, 0);
        if (!macro) {
            return;
        }
        std::string revealed;
        std::size_t from = 0;
        for (; macro; macro = find_hidden_macro(node.text, from)) {
            revealed.append(node.text, from, macro->begin - from);
            revealed += value_of(macro->name, node);
            from = macro->end;
            if (revealed.size() > limits_.text_bytes_max) {
                throw Stop{node.mark,
                           "too large: an environment variable makes it longer than a "
                           "whole file may be",
                           ""};
            }
        }
        node.text = revealed.append(node.text, from);
        if (node.from_environment && node.text.empty() && node.tag == Tag::plain) {
            node.kind = Node::Kind::null;  // as `key: ` without a value
        }
    }

    static bool is_merge(const Node& key) {
        return key.is_scalar() && key.tag == Tag::plain && key.text == "<<";
    }

    /// Reports duplicate keys (the first stays) and carries out `<<`.
    void finish_map(Node& map) {
        std::unordered_map<std::string_view, const Node*> seen;
        seen.reserve(map.entries.size());
        std::vector<Entry> kept;
        kept.reserve(map.entries.size());
        bool merges = false;
        for (const Entry& entry : map.entries) {
            const auto [at, fresh] = seen.emplace(entry.key->text, entry.key);
            if (fresh) {
                kept.push_back(entry);
                merges = merges || is_merge(*entry.key);
                continue;
            }
            const std::string name = entry.key->from_environment ? "" : entry.key->text;
            report_.error(entry.key->mark, "mapping key \"" + name + "\" already defined at line " +
                                               std::to_string(at->second->mark.line));
        }
        map.entries = std::move(kept);
        if (merges) {
            merge(map, seen);
        }
    }

    /// YAML 1.1 merge keys (yaml.org/type/merge.html): own keys win, then earlier sources.
    void merge(Node& map, std::unordered_map<std::string_view, const Node*>& seen) {
        std::vector<Entry> merged;
        for (const Entry& entry : map.entries) {
            if (!is_merge(*entry.key)) {
                merged.push_back(entry);
                continue;
            }
            const std::vector<const Node*> one{entry.value};
            for (const Node* source : entry.value->is_sequence() ? entry.value->items : one) {
                if (!source->is_map()) {
                    report_.error(source->mark,
                                  "map merge requires map or sequence of maps as the value");
                    continue;
                }
                spend(source->entries.size(), source->bytes, entry.key->mark);
                for (const Entry& inherited : source->entries) {
                    if (seen.emplace(inherited.key->text, inherited.key).second) {
                        map.weight += inherited.key->weight + inherited.value->weight;
                        map.bytes += inherited.key->bytes + inherited.value->bytes;
                        merged.push_back(inherited);
                    }
                }
            }
        }
        map.entries = std::move(merged);
    }

    MeteredText& source_;
    const Environment& environment_;
    Report& report_;
    const TreeLimits& limits_;
    const int file_;
    TreeCost& spent_;
    Tree tree_;
    std::vector<Open> open_;
    std::unordered_map<YAML::anchor_t, const Node*> anchors_;
    std::size_t last_quote_ = std::string::npos;
};

/// Finds out whether a second document follows, and where; reads nothing of it.
class SecondDocument final : public YAML::EventHandler {
public:
    struct Found {
        YAML::Mark mark;
    };
    void OnDocumentStart(const YAML::Mark& mark) override { throw Found{mark}; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

void look_for_second_document(YAML::Parser& parser, std::string_view text, Report& report,
                              int file) {
    SecondDocument second;
    try {
        parser.HandleNextDocument(second);
    } catch (const SecondDocument::Found& found) {
        const auto at = static_cast<std::size_t>(std::max(found.mark.pos, 0));
        if (text.substr(std::min(at, text.size())).starts_with("---")) {
            report.warn(from(found.mark, file), "only the first document of the file is read",
                        "remove this line, or what is above it");
        } else {
            report.error(from(found.mark, file), "did not find expected <document start>",
                         "what stands here does not belong to what is above it");
        }
    }
}

/// The tab in the indentation of this line, if that is what confused the parser.
std::optional<Mark> tab_in_indentation(std::string_view text, int line, int file) {
    for (int number = 1; number <= line && !text.empty(); ++number) {
        const auto end = text.find('\n');
        const auto content = text.substr(0, end).find_first_not_of(' ');
        if (number + 1 >= line && content != std::string_view::npos && text[content] == '\t') {
            return Mark{number, static_cast<int>(content) + 1, file};
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return std::nullopt;
}

void report_syntax(const YAML::Exception& problem, std::string_view text, Report& report,
                   int file) {
    if (problem.mark.is_null()) {
        report.error({0, 0, file}, "not YAML: " + problem.msg);
        return;
    }
    if (const auto tab = tab_in_indentation(text, problem.mark.line + 1, file)) {
        report.error(*tab, "found character that cannot start any token: a tab in the indentation",
                     "YAML is indented with spaces only");
        return;
    }
    report.error(from(problem.mark, file), "not YAML: " + problem.msg);
}

}  // namespace

const Node* Node::find(std::string_view key) const noexcept {
    const auto at = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
        return entry.key->is_scalar() && entry.key->text == key;
    });
    return at != entries.end() ? at->value : nullptr;
}

std::optional<Tree> parse_yaml(std::string_view text, const Environment& environment,
                               Report& report, const TreeLimits& limits, int file,
                               TreeCost& spent) {
    if (text.size() > limits.text_bytes_max) {
        report.error({0, 0, file},
                     "the file is larger than " + std::to_string(limits.text_bytes_max) + " bytes");
        return std::nullopt;
    }
    if (auto mistake = find_text_mistake(text, file)) {
        report.error(mistake->mark, std::move(mistake->message));
        return std::nullopt;
    }
    const std::string with_hidden =
        text.find("${env.") != text.npos ? hide_environment_macros(text) : std::string();
    const std::string_view hidden = with_hidden.empty() ? text : with_hidden;
    MeteredText metered(hidden, limits.held_weight_max);
    Builder builder(metered, environment, report, limits, file, spent);
    std::istream stream(&metered);
    try {
        YAML::Parser parser(stream);
        parser.HandleNextDocument(builder);
        if (quote_never_ends(hidden, builder.last_quote())) {
            report.error(mark_of(hidden, builder.last_quote(), file),
                         "found unexpected end of stream: this quote is never closed");
        }
        look_for_second_document(parser, text, report, file);
    } catch (const Stop& stop) {
        report.error(stop.mark, stop.message, stop.hint);
        return std::nullopt;
    } catch (const MeteredText::HoldsTooMuch& stop) {
        report.error(mark_of(hidden, stop.at, file),
                     "too many nodes in one `[…]` or `{…}`, or too much punctuation in one text",
                     "write it in lines: `- item` and `key: value`");
        return std::nullopt;
    } catch (const YAML::Exception& problem) {
        report_syntax(problem, hidden, report, file);
        return std::nullopt;
    }
    const bool empty = !builder.has_root();
    Tree tree = builder.take();
    if (empty) {
        Node& nothing = tree.nodes.emplace_back();
        nothing.mark.file = file;
        tree.root = &nothing;
    }
    return tree;
}

std::optional<Tree> parse_yaml(std::string_view text, const Environment& environment,
                               Report& report, const TreeLimits& limits) {
    TreeCost spent;
    return parse_yaml(text, environment, report, limits, 0, spent);
}

}  // namespace corral::load
