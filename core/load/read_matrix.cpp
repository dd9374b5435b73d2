// llama-swap's matrix, at the top level as its older files have it or below routing.router:
// variables, costs, and the sets in the order in which ties are decided. References between sets
// become shared nodes: nothing is ever copied or expanded.
#include "core/load/loading.hpp"
#include "core/load/matrix_expression.hpp"
#include "core/nearest.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace corral::load {
namespace {

std::string in_quotes(std::string_view name) {
    return "\"" + std::string(name) + "\"";
}

bool is_variable_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-';
    });
}

/// A set as it was read.
struct Set {
    std::string name;
    Mark name_mark;
    Mark mark;  ///< of its expression
    std::string text;
    MatrixExpression expression;
    std::vector<std::size_t> references;  ///< to sets, as they come in the expression
};

class MatrixReader {
public:
    explicit MatrixReader(Loading& loading) : loading_(loading), reader_(loading.reader()) {}

    void read(const Node& matrix, const std::string& path) {
        if (const Node* vars = part(matrix, path, "vars", "vars must be a mapping")) {
            for (const Entry& entry : vars->entries) {
                read_variable(entry, path + ".vars." + entry.key->text);
            }
        }
        if (const Node* costs =
                part(matrix, path, "evict_costs", "evict_costs must be a mapping")) {
            for (const Entry& entry : costs->entries) {
                read_cost(entry, path + ".evict_costs." + entry.key->text);
            }
        }
        const Node* sets = part(matrix, path, "sets", "sets must be a mapping");
        if (sets == nullptr || sets->entries.empty()) {
            error(sets != nullptr ? sets->mark : matrix.mark, "matrix must define at least one set",
                  "a set names models that may run together: `sets: {both: a & b}`");
            return;
        }
        read_sets(*sets, path + ".sets");
        const std::vector<std::size_t> order = ordered_sets();
        if (!loading_.report.failed()) {
            link(order);
        }
    }

private:
    void error(Mark mark, const std::string& message, std::string hint = {}) {
        loading_.report.error(mark, "matrix: " + message, std::move(hint));
    }

    /// A mapping of the matrix; nullptr when it is not there or cannot be used.
    const Node* part(const Node& matrix, const std::string& path, std::string_view key,
                     const std::string& refusal) {
        const Node* node = matrix.find(key);
        if (node == nullptr || node->is_null()) {
            return nullptr;
        }
        if (!node->is_map()) {
            error(node->mark, refusal, path + "." + std::string(key) + " is something else");
            return nullptr;
        }
        return node;
    }

    void read_variable(const Entry& entry, const std::string& path) {
        const std::string& name = entry.key->text;
        if (!is_variable_name(name)) {
            error(entry.key->mark, "var key " + in_quotes(name) +
                                       " must contain only alphanumeric, '-' or '.' characters "
                                       "and be 1-32 characters long");
        }
        const auto text = reader_.text(*entry.value, path);
        const std::string target = text.value_or("");
        ModelId& model = vars_[name];  // empty: known, but of no use
        if (text || entry.value->is_null()) {
            model = find_model(target).value_or(ModelId());
            if (model.empty()) {
                error(
                    entry.value->mark,
                    "var key " + in_quotes(name) + " references unknown model " + in_quotes(target),
                    near(target, false));
            } else {
                loading_.config.matrix.vars.push_back({name, model});
            }
        }
    }

    void read_cost(const Entry& entry, const std::string& path) {
        const std::string& name = entry.key->text;
        const auto cost = reader_.integer(*entry.value, path);
        if (entry.value->is_null() || (cost && *cost <= 0)) {
            error(entry.value->mark, "evict_cost for " + in_quotes(name) +
                                         " must be a positive integer, got " +
                                         std::to_string(cost.value_or(0)));
        }
        const auto model = find_name(name);
        if (!model) {
            error(entry.key->mark, "evict_costs: unknown var or model " + in_quotes(name),
                  near(name, true));
            return;
        }
        auto& costs = loading_.config.matrix.evict_costs;
        const auto same = std::find_if(costs.begin(), costs.end(), [&](const EvictCost& other) {
            return other.model == *model;
        });
        if (same == costs.end()) {
            costs.push_back({*model, cost.value_or(1)});
            return;
        }
        loading_.report.warn(entry.key->mark, "matrix: evict_costs names the model " +
                                                  in_quotes(model->str()) +
                                                  " twice: the greater cost is used");
        same->cost = std::max(same->cost, cost.value_or(1));
    }

    void read_sets(const Node& sets, const std::string& path) {
        for (const Entry& entry : sets.entries) {
            set_of_.emplace(entry.key->text, sets_.size());
            sets_.push_back({entry.key->text, entry.key->mark, entry.value->mark, "", {}, {}});
        }
        for (std::size_t i = 0; i < sets_.size(); ++i) {
            const Node& value = *sets.entries[i].value;
            const auto text = reader_.text(value, path + "." + sets_[i].name);
            if (text || value.is_null()) {
                sets_[i].text = text.value_or("");
                read_set(sets_[i]);
            }
        }
    }

    void read_set(Set& set) {
        auto expression = parse_matrix_expression(set.text);
        if (!expression) {
            error(set.mark, "set " + in_quotes(set.name) + ": " + expression.error().detail);
            return;
        }
        terms_ += expression->terms.size();
        if (terms_ > matrix_terms_max) {
            if (terms_ - expression->terms.size() <= matrix_terms_max) {  // once
                error(set.mark, "the sets have more than " + std::to_string(matrix_terms_max) +
                                    " terms in all");
            }
            return;
        }
        set.expression = std::move(*expression);
        for (MatrixTerm& term : set.expression.terms) {
            if (term.kind == MatrixTerm::Kind::name) {
                resolve_model(set, term);
            } else if (term.kind == MatrixTerm::Kind::set) {
                resolve_set(set, term);
            }
        }
    }

    /// From now on the term's text is the id of its model.
    void resolve_model(const Set& set, MatrixTerm& term) {
        const auto model = find_name(term.text);
        if (!model) {
            error(set.mark,
                  "set " + in_quotes(set.name) + ": unknown var or model " + in_quotes(term.text) +
                      " at position " + std::to_string(term.position),
                  near(term.text, true));
            return;
        }
        term.text = model->str();
    }

    void resolve_set(Set& set, const MatrixTerm& term) {
        const auto found = set_of_.find(term.text);
        if (found == set_of_.end()) {
            std::vector<std::string_view> names;
            for (const Set& other : sets_) {
                names.emplace_back(other.name);
            }
            error(set.mark,
                  "set " + in_quotes(set.name) + " references undefined set " +
                      in_quotes(term.text) + " at position " + std::to_string(term.position),
                  did_you_mean(term.text, names));
            return;
        }
        set.references.push_back(found->second);
    }

    /// As the file has them, but each after those that it refers to: llama-swap's order for ties.
    std::vector<std::size_t> ordered_sets() {
        enum class Visit : std::uint8_t { not_yet, open, circular, done };
        struct Step {
            std::size_t set;
            std::size_t next = 0;  // of its references
        };
        std::vector<Visit> visits(sets_.size(), Visit::not_yet);
        std::vector<std::size_t> order;
        for (std::size_t first = 0; first < sets_.size(); ++first) {
            std::vector<Step> path;
            const auto enter = [&](std::size_t set) {
                visits[set] = Visit::open;
                path.push_back({set});
            };
            if (visits[first] == Visit::not_yet) {
                enter(first);
            }
            while (!path.empty()) {
                Step& step = path.back();
                const std::vector<std::size_t>& references = sets_[step.set].references;
                if (step.next == references.size()) {
                    visits[step.set] = Visit::done;
                    order.push_back(step.set);
                    path.pop_back();
                    continue;
                }
                const std::size_t next = references[step.next++];
                if (visits[next] == Visit::not_yet) {
                    enter(next);
                } else if (visits[next] == Visit::open) {
                    visits[next] = Visit::circular;
                    error(sets_[next].name_mark, "circular reference detected involving set " +
                                                     in_quotes(sets_[next].name));
                }
            }
        }
        return order;
    }

    void link(const std::vector<std::size_t>& order) {
        MatrixConfig& matrix = loading_.config.matrix;
        std::vector<std::uint32_t> roots(sets_.size());
        std::unordered_map<std::string, std::uint32_t> leaves;
        const auto add = [&matrix](MatrixNode node) {
            matrix.nodes.push_back(std::move(node));
            return static_cast<std::uint32_t>(matrix.nodes.size() - 1);
        };
        for (const std::size_t index : order) {
            const Set& set = sets_[index];
            std::vector<std::uint32_t> nodes;
            for (const MatrixTerm& term : set.expression.terms) {
                if (term.kind == MatrixTerm::Kind::set) {
                    nodes.push_back(roots[set_of_.at(term.text)]);
                } else if (term.kind == MatrixTerm::Kind::name) {
                    const auto [at, fresh] = leaves.try_emplace(term.text);
                    if (fresh) {
                        at->second = add({MatrixNode::Kind::model, ModelId(term.text), {}});
                    }
                    nodes.push_back(at->second);
                } else {
                    MatrixNode node;
                    node.kind = term.kind == MatrixTerm::Kind::all ? MatrixNode::Kind::all
                                                                   : MatrixNode::Kind::any;
                    for (const std::uint32_t operand : term.operands) {
                        node.children.push_back(nodes[operand]);
                    }
                    nodes.push_back(add(std::move(node)));
                }
            }
            roots[index] = nodes.back();
            matrix.sets.push_back({set.name, set.text, roots[index]});
        }
    }

    /// A variable or a model; an empty id for a variable of no use, which was reported. As in
    /// llama-swap, an alias is neither.
    [[nodiscard]] std::optional<ModelId> find_name(const std::string& name) const {
        if (const auto var = vars_.find(name); var != vars_.end()) {
            return var->second;
        }
        return find_model(name);
    }

    [[nodiscard]] std::optional<ModelId> find_model(const std::string& name) const {
        const bool known = loading_.config.find_id(ModelId(name)) != nullptr;
        return known ? std::optional(ModelId(name)) : std::nullopt;
    }

    static std::string did_you_mean(std::string_view name,
                                    const std::vector<std::string_view>& names) {
        const auto nearest = nearest_name(name, names);
        return nearest.empty() ? "" : "did you mean " + in_quotes(nearest) + "?";
    }

    [[nodiscard]] std::string near(std::string_view name, bool or_variable) const {
        if (loading_.report.full()) {
            return "";
        }
        if (const ModelId model = loading_.resolve(std::string(name)); !model.empty()) {
            return "it is an alias: write " + in_quotes(model.str()) + ", the model's own name";
        }
        std::vector<std::string_view> names;
        for (const auto& [var, model] : vars_) {
            if (or_variable) {
                names.emplace_back(var);
            }
        }
        std::sort(names.begin(), names.end());
        for (const ModelConfig& model : loading_.config.models) {
            names.emplace_back(model.id.str());
        }
        return did_you_mean(name, names);
    }

    Loading& loading_;
    Reader reader_;
    std::unordered_map<std::string, ModelId> vars_;
    std::vector<Set> sets_;
    std::unordered_map<std::string, std::size_t> set_of_;
    std::size_t terms_ = 0;
};

}  // namespace

void read_matrix(Loading& loading) {
    if (loading.config.router != RouterKind::matrix) {
        return;
    }
    const Node* matrix = loading.root.find("matrix");
    std::string path = "matrix";
    if (matrix == nullptr || matrix->is_null()) {
        matrix = node_at(loading.root, {"routing", "router", "settings", "matrix"});
        path = "routing.router.settings.matrix";
    }
    if (matrix == nullptr || matrix->is_null()) {
        return;
    }
    if (!matrix->is_map()) {
        Reader reader = loading.reader();
        reader.type_error(*matrix, path, "a mapping");
        return;
    }
    MatrixReader(loading).read(*matrix, path);
}

}  // namespace corral::load
