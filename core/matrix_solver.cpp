// The projection. Each model asked about has a bit; a state is what one way of choosing below a
// node leaves of them. Two states of a node are compared by what can meet again further up: a model
// that no way of choosing draws twice ("private") counts by its worth only, of the others
// ("shared") one state has to hold all that the other holds. So an expression that names each model
// once, however many combinations it has, keeps one state a node.
#include "core/matrix_solver.hpp"

#include <algorithm>
#include <compare>
#include <optional>

namespace corral {
namespace {

using Number = MatrixSolver::Number;
using Runner = MatrixSolver::Runner;
using Word = std::uint64_t;

constexpr std::size_t word_bits = 64;
constexpr std::int64_t cost_max = std::int64_t{1} << 40U;  // sums of them cannot overflow

/// What keeping something is worth, the most important thing first.
struct Worth {
    std::uint32_t target = 0;
    std::int64_t cost = 0;
    std::uint32_t leaving = 0;

    friend auto operator<=>(const Worth&, const Worth&) = default;
    Worth operator+(const Worth& other) const {
        return {target + other.target, cost + other.cost, leaving + other.leaving};
    }
};

class Projection {
public:
    Projection(const MatrixSolver::Program& program, std::size_t work_max, Number target,
               std::span<const Runner> running)
        : program_(program), work_max_(work_max), running_(running) {
        bit_of_.assign(program.costs.size(), no_bit);
        give_bit(target, {1, 0, 0});
        for (const Runner& runner : running) {
            if (runner.model != MatrixSolver::in_no_set) {
                const std::int64_t cost = program.costs[runner.model];
                give_bit(runner.model, runner.leaving ? Worth{0, 0, 1} : Worth{0, cost, 0});
            }
        }
        words_ = (worth_.size() + word_bits - 1) / word_bits;
        everything_.assign(words_, ~Word{0});
    }

    MatrixSolver::Answer solve() {
        survey();
        frontiers_.resize(program_.nodes.size());
        for (std::uint32_t node = 0; node < program_.nodes.size(); ++node) {
            if (needed_[node]) {
                evaluate(node);
            }
        }
        const std::optional<State> best = best_of_roots();
        MatrixSolver::Answer answer;
        answer.exact = !rough_;
        for (std::size_t i = 0; i < running_.size(); ++i) {
            const Number model = running_[i].model;
            if (!best || model == MatrixSolver::in_no_set || !has(best->mask, bit_of_[model])) {
                answer.evictions.push_back(i);
            }
        }
        return answer;
    }

private:
    static constexpr std::uint32_t no_bit = UINT32_MAX;

    struct State {
        Worth own;             // of the private models
        std::size_t mask = 0;  // where it begins in masks_
    };
    /// The states of a node that can matter, in the order in which they are found.
    struct Frontier {
        std::size_t begin = 0;  // in states_
        std::size_t end = 0;
        std::optional<State> best;  // when it was asked for
    };

    void give_bit(Number model, Worth worth) {
        if (bit_of_[model] == no_bit) {
            bit_of_[model] = static_cast<std::uint32_t>(worth_.size());
            worth_.push_back(worth);
        }
    }

    [[nodiscard]] bool has(std::size_t mask, std::size_t bit) const {
        return ((masks_[mask + bit / word_bits] >> (bit % word_bits)) & 1U) != 0;
    }

    // ---- first: which models can come from where ------------------------------------------------

    /// Finds the nodes that the target's sets are made of, and the shared models: those that some
    /// way of choosing draws twice.
    void survey() {
        const std::size_t nodes = program_.nodes.size();
        once_.assign(nodes * words_, 0);
        twice_.assign(nodes * words_, 0);
        for (std::uint32_t node = 0; node < nodes; ++node) {
            survey(node);
        }
        needed_.assign(nodes, false);
        shared_.assign(words_, 0);
        for (const std::uint32_t root : program_.roots) {
            if ((once_[root * words_] & 1U) != 0) {  // the target has bit 0
                needed_[root] = true;
                for (std::size_t w = 0; w < words_; ++w) {
                    shared_[w] |= twice_[root * words_ + w];
                }
            }
        }
        for (std::size_t node = nodes; node-- > 0;) {
            for (const std::uint32_t child : children(node)) {
                needed_[child] = needed_[child] || (needed_[node] && matters(child));
            }
        }
    }

    void survey(std::uint32_t at) {
        const MatrixSolver::Node& node = program_.nodes[at];
        Word* const once = &once_[at * words_];
        Word* const twice = &twice_[at * words_];
        if (node.kind == MatrixNode::Kind::model) {
            if (const std::uint32_t bit = bit_of_[node.model]; bit != no_bit) {
                once[bit / word_bits] |= Word{1} << (bit % word_bits);
            }
            return;
        }
        const bool all = node.kind == MatrixNode::Kind::all;
        for (const std::uint32_t child : children(at)) {
            for (std::size_t w = 0; w < words_; ++w) {
                const Word drawn = once_[child * words_ + w];
                twice[w] |= twice_[child * words_ + w] | (all ? once[w] & drawn : 0);
                once[w] |= drawn;
            }
        }
    }

    [[nodiscard]] std::span<const std::uint32_t> children(std::size_t node) const {
        const MatrixSolver::Node& at = program_.nodes[node];
        return std::span(program_.children).subspan(at.begin, at.end - at.begin);
    }

    [[nodiscard]] bool matters(std::uint32_t node) const {
        return std::any_of(&once_[node * words_], &once_[node * words_] + words_,
                           [](Word word) { return word != 0; });
    }

    // ---- then: what can be chosen there ---------------------------------------------------------

    void evaluate(std::uint32_t at) {
        const MatrixSolver::Node& node = program_.nodes[at];
        std::vector<State> states;
        if (node.kind == MatrixNode::Kind::model) {
            const std::uint32_t bit = bit_of_[node.model];
            states.push_back({is_shared(bit) ? Worth{} : worth_[bit], masks_.size()});
            masks_.resize(masks_.size() + words_, 0);
            masks_[states.back().mask + bit / word_bits] = Word{1} << (bit % word_bits);
        } else {
            for (const std::uint32_t child : children(at)) {
                if (needed_[child] && matters(child)) {
                    states = node.kind == MatrixNode::Kind::any
                                 ? either(std::move(states), frontiers_[child])
                                 : both(states, frontiers_[child]);
                }
            }
        }
        frontiers_[at] = {states_.size(), states_.size() + states.size(), {}};
        states_.insert(states_.end(), states.begin(), states.end());
    }

    std::vector<State> either(std::vector<State> states, Frontier& more) {
        for (std::size_t i = more.begin; i < more.end && !rough_; ++i) {
            add(states, states_[i]);
        }
        if (rough_) {
            add(states, best(more));
        }
        return states;
    }

    /// Every state of the one with every state of the other. An empty list: nothing chosen yet.
    std::vector<State> both(const std::vector<State>& left, Frontier& right) {
        std::vector<State> out;
        if (left.empty()) {
            return either({}, right);
        }
        for (std::size_t l = 0; l < left.size() && !rough_; ++l) {
            for (std::size_t r = right.begin; r < right.end && !rough_; ++r) {
                add_union(out, left[l], states_[r]);
            }
        }
        if (rough_) {
            add_union(out, best(left), best(right));
        }
        return out;
    }

    void add_union(std::vector<State>& states, const State& left, const State& right) {
        const State sum{left.own + right.own, masks_.size()};
        for (std::size_t w = 0; w < words_; ++w) {
            masks_.push_back(masks_[left.mask + w] | masks_[right.mask + w]);
        }
        if (!add(states, sum)) {
            masks_.resize(sum.mask);
        }
    }

    /// Adds a state unless an earlier one is as good in every case, and drops those that it makes
    /// superfluous. When the work is used up, only the best of all is kept.
    bool add(std::vector<State>& states, const State& state) {
        work_ += (states.size() + 1) * words_;
        if (std::any_of(states.begin(), states.end(), [&](const State& earlier) {
                return state.own <= earlier.own && within(state, earlier, shared_);
            })) {
            return false;
        }
        std::erase_if(states, [&](const State& earlier) {
            return earlier.own <= state.own && within(earlier, state, shared_) &&
                   (earlier.own < state.own || within(earlier, state, everything_));
        });
        states.push_back(state);
        rough_ = rough_ || work_ > work_max_;
        if (rough_ && states.size() > 1) {
            states = {best(states)};
        }
        return true;
    }

    /// True when `inner` has nothing that `outer` has not, among these models.
    [[nodiscard]] bool within(const State& inner, const State& outer,
                              const std::vector<Word>& among) const {
        for (std::size_t w = 0; w < words_; ++w) {
            const Word missing = masks_[inner.mask + w] & ~masks_[outer.mask + w];
            if ((missing & among[w]) != 0) {
                return false;
            }
        }
        return true;
    }

    [[nodiscard]] bool is_shared(std::size_t bit) const {
        return ((shared_[bit / word_bits] >> (bit % word_bits)) & 1U) != 0;
    }

    [[nodiscard]] Worth total(const State& state) const {
        Worth out = state.own;
        for (std::size_t bit = 0; bit < worth_.size(); ++bit) {
            if (is_shared(bit) && has(state.mask, bit)) {
                out = out + worth_[bit];
            }
        }
        return out;
    }

    /// The first of the best. Requires: there is one.
    [[nodiscard]] State best(std::span<const State> states) const {
        State out = states.front();
        Worth most = total(out);
        for (const State& state : states.subspan(1)) {
            if (const Worth worth = total(state); worth > most) {
                out = state;
                most = worth;
            }
        }
        return out;
    }

    State best(Frontier& frontier) {
        if (!frontier.best) {
            frontier.best =
                best(std::span(states_).subspan(frontier.begin, frontier.end - frontier.begin));
        }
        return *frontier.best;
    }

    std::optional<State> best_of_roots() {
        std::optional<State> out;
        for (const std::uint32_t root : program_.roots) {
            if (!needed_[root] || (once_[root * words_] & 1U) == 0) {
                continue;
            }
            const State state = best(frontiers_[root]);
            if (has(state.mask, 0) && (!out || total(state) > total(*out))) {
                out = state;
            }
        }
        return out;
    }

    const MatrixSolver::Program& program_;
    const std::size_t work_max_;
    const std::span<const Runner> running_;
    std::vector<std::uint32_t> bit_of_;  // by number
    std::vector<Worth> worth_;           // by bit
    std::size_t words_ = 0;
    std::vector<Word> once_;    // by node: what some way of choosing draws there
    std::vector<Word> twice_;   // …and what one draws from two places
    std::vector<Word> shared_;  // of all needed sets
    std::vector<Word> everything_;
    std::vector<bool> needed_;
    std::vector<Frontier> frontiers_;  // by node
    std::vector<State> states_;
    std::vector<Word> masks_;
    std::size_t work_ = 0;
    bool rough_ = false;  // the work is used up
};

}  // namespace

MatrixSolver::MatrixSolver(const MatrixConfig& config, std::size_t work_max) : work_max_(work_max) {
    for (const MatrixNode& node : config.nodes) {
        Node out{node.kind, in_no_set, static_cast<std::uint32_t>(program_.children.size()), 0};
        if (node.kind == MatrixNode::Kind::model) {
            const auto next = static_cast<Number>(numbers_.size());
            out.model = numbers_.emplace(node.model, next).first->second;
        }
        program_.children.insert(program_.children.end(), node.children.begin(),
                                 node.children.end());
        out.end = static_cast<std::uint32_t>(program_.children.size());
        program_.nodes.push_back(out);
    }
    std::vector<bool> seen(config.nodes.size(), false);
    for (const MatrixSet& set : config.sets) {
        if (!seen.at(set.root)) {
            seen[set.root] = true;
            program_.roots.push_back(set.root);
        }
    }
    program_.costs.assign(numbers_.size(), 1);
    for (const EvictCost& cost : config.evict_costs) {
        if (const auto found = numbers_.find(cost.model); found != numbers_.end()) {
            program_.costs[found->second] = std::min(cost.cost, cost_max);
        }
    }
}

Number MatrixSolver::number(const ModelId& model) const {
    const auto found = numbers_.find(model);
    return found != numbers_.end() ? found->second : in_no_set;
}

MatrixSolver::Answer MatrixSolver::evictions(Number target, std::span<const Runner> running) const {
    if (running.empty()) {
        return {};
    }
    if (target == in_no_set) {
        Answer all;
        for (std::size_t i = 0; i < running.size(); ++i) {
            all.evictions.push_back(i);
        }
        return all;
    }
    return Projection(program_, work_max_, target, running).solve();
}

bool MatrixSolver::allows(std::span<const Number> models) const {
    if (models.size() < 2) {
        return true;
    }
    std::vector<Runner> others;
    for (const Number model : models.subspan(1)) {
        others.push_back({model, false});
    }
    return evictions(models.front(), others).evictions.empty();
}

bool can_run_together(const MatrixConfig& matrix, std::span<const ModelId> models) {
    const MatrixSolver solver(matrix);
    std::vector<Number> numbers;
    std::transform(models.begin(), models.end(), std::back_inserter(numbers),
                   [&](const ModelId& model) { return solver.number(model); });
    return solver.allows(numbers);
}

}  // namespace corral
