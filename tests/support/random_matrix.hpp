#pragma once
// Small random matrices, and every combination that one allows, written out: what tests hold the
// solver and the scheduler against.

#include "core/routing_config.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace corral::test {

/// The models "a", "b", … have bit 0, 1, …
using ModelMask = std::uint32_t;

inline ModelId letter(std::size_t index) {
    return ModelId(std::string(1, static_cast<char>('a' + index)));
}

inline ModelMask bit(const ModelId& id) {
    return ModelMask{1} << static_cast<unsigned>(id.str()[0] - 'a');
}

/// Every combination that a node allows, in the order of the expression.
inline std::vector<ModelMask> combinations(const MatrixConfig& matrix, std::uint32_t at) {
    const MatrixNode& node = matrix.nodes[at];
    if (node.kind == MatrixNode::Kind::model) {
        return {bit(node.model)};
    }
    std::vector<ModelMask> out;
    if (node.kind == MatrixNode::Kind::all) {
        out.push_back(0);
    }
    for (const std::uint32_t child : node.children) {
        const std::vector<ModelMask> more = combinations(matrix, child);
        if (node.kind == MatrixNode::Kind::any) {
            out.insert(out.end(), more.begin(), more.end());
            continue;
        }
        std::vector<ModelMask> product;
        for (const ModelMask left : out) {
            for (const ModelMask right : more) {
                product.push_back(left | right);
            }
        }
        out = std::move(product);
    }
    return out;
}

/// Draws a matrix of the models "a", "b", … from a seed. Sets may share nodes and name a model many
/// times, unless `each_once`: then every set names each model at most once.
class RandomMatrix {
public:
    RandomMatrix(std::uint32_t seed, int models, bool each_once = false)
        : random_(seed), models_(models), each_once_(each_once) {}

    MatrixConfig build() {
        const int sets = pick(1, 4);
        for (int i = 0; i < sets; ++i) {
            unused_.resize(static_cast<std::size_t>(models_));
            std::iota(unused_.begin(), unused_.end(), std::size_t{0});
            std::shuffle(unused_.begin(), unused_.end(), random_);
            std::uint32_t root = node(3);
            while (ways_[root] > 300) {
                root = node(2);
            }
            out_.sets.push_back({"s" + std::to_string(i), "", root});
        }
        for (int i = 0; i < models_; ++i) {
            if (pick(0, 2) == 0) {
                out_.evict_costs.push_back({letter(static_cast<std::size_t>(i)), pick(1, 4)});
            }
        }
        return out_;
    }

    int pick(int from, int to) {  // both included
        return from + static_cast<int>(random_() % static_cast<unsigned>(to - from + 1));
    }

private:
    std::uint32_t node(int depth) {
        if (!each_once_ && !out_.sets.empty() && pick(0, 5) == 0) {
            const int set = pick(0, static_cast<int>(out_.sets.size()) - 1);
            return out_.sets[static_cast<std::size_t>(set)].root;
        }
        if (depth == 0 || pick(0, 3) == 0 || unused_.size() < 2) {
            auto index = static_cast<std::size_t>(pick(0, models_ - 1));
            if (each_once_ && !unused_.empty()) {
                index = unused_.back();
                unused_.pop_back();
            }
            return add({MatrixNode::Kind::model, letter(index), {}});
        }
        MatrixNode join;
        join.kind = pick(0, 1) == 0 ? MatrixNode::Kind::all : MatrixNode::Kind::any;
        for (int i = pick(2, 3); i > 0 && !unused_.empty(); --i) {
            join.children.push_back(node(depth - 1));
        }
        return add(std::move(join));
    }

    std::uint32_t add(MatrixNode made) {
        const bool any = made.kind == MatrixNode::Kind::any;
        double ways = any ? 0 : 1;  // of choosing: kept small enough to try all
        for (const std::uint32_t child : made.children) {
            ways = any ? ways + ways_[child] : ways * ways_[child];
        }
        ways_.push_back(ways);
        out_.nodes.push_back(std::move(made));
        return static_cast<std::uint32_t>(out_.nodes.size() - 1);
    }

    std::mt19937 random_;
    int models_;
    bool each_once_;
    std::vector<std::size_t> unused_;
    std::vector<double> ways_;  // by node
    MatrixConfig out_;
};

}  // namespace corral::test
