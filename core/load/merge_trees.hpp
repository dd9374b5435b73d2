#pragma once
// Several config files as one: puts the trees of --config and --config-dir together by the rules of
// llama-swap (docs/configuration.md, "Several files"). Every node keeps the place in its own file,
// so that whoever reads the result need not know that there were several. Pure; any thread.

#include "core/load/report.hpp"
#include "core/load/yaml_tree.hpp"

#include <vector>

namespace corral::load {

/// One tree out of at least one, in this order: mappings merge key by key, lists are joined, equal
/// scalars are fine, and null yields to whatever another file says. Everything else is a conflict
/// and goes to `report` with both places; the earlier file then holds. An entry of `models`,
/// `groups` and the like names one thing: it may stand in one file only. The roots of the trees are
/// maps or null.
[[nodiscard]] Tree merge_trees(std::vector<Tree> trees, Report& report);

}  // namespace corral::load
