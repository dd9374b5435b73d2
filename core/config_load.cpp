#include "core/config_load.hpp"

#include "core/load/loading.hpp"
#include "core/load/merge_trees.hpp"

#include <utility>

namespace corral {
namespace {

using load::Loading;
using load::Report;

/// A file as it was given, without a copy.
struct Source {
    std::string_view name;
    std::string_view text;
};

/// The tree of one file with a mapping or nothing as its root.
std::optional<load::Tree> parse(const Source& source, int file,
                                const EnvironmentLookup& environment, Report& report,
                                load::TreeCost& spent) {
    auto tree = load::parse_yaml(source.text, environment, report, {}, file, spent);
    if (!tree || tree->root->is_map() || tree->root->is_null()) {
        return tree;
    }
    std::string what = "config " + std::string(source.name) + ": top-level YAML must be a mapping";
    if (!report.has_several_files()) {
        what = std::string("cannot unmarshal ") + (tree->root->is_sequence() ? "!!seq" : "!!str") +
               " into config.Config";
    }
    report.error(tree->root->mark, std::move(what),
                 "the top level of the file is a mapping: `models:` and other keys");
    load::Node& nothing = tree->nodes.emplace_back();
    nothing.mark.file = file;
    tree->root = &nothing;
    return tree;
}

/// All files as one tree; nullopt when one of them is none. Every file is read, so that the
/// mistakes of all of them are told at once.
std::optional<load::Tree> read_tree(std::span<const Source> sources,
                                    const EnvironmentLookup& environment, Report& report) {
    std::vector<load::Tree> trees;
    load::TreeCost spent;
    for (std::size_t i = 0; i < sources.size(); ++i) {
        if (auto tree = parse(sources[i], static_cast<int>(i), environment, report, spent)) {
            trees.push_back(std::move(*tree));
        }
    }
    if (trees.size() < sources.size()) {
        return std::nullopt;
    }
    return load::merge_trees(std::move(trees), report);
}

ConfigLoad load_all(std::span<Source> sources, const EnvironmentLookup& environment) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    Report report;
    for (Source& source : sources) {
        if (source.text.starts_with(byte_order_mark)) {
            source.text.remove_prefix(byte_order_mark.size());
        }
        report.add_file(source.text, std::string(source.name));
    }
    const auto tree = read_tree(sources, environment, report);
    if (!tree) {
        return {std::nullopt, report.take()};
    }
    static const load::Node nothing;
    Loading loading(report, tree->root->is_map() ? *tree->root : nothing);
    for (const Source& source : sources) {
        auto& origin = loading.config.origin;
        origin += (origin.empty() ? "" : ", ") + std::string(source.name);
    }
    load::read_globals(loading);
    load::read_access(loading);
    load::read_records(loading);
    load::read_upstream(loading);
    load::read_limits(loading);
    load::read_discovery(loading);
    load::read_models(loading);
    load::read_groups(loading);
    load::read_matrix(loading);
    load::read_scheduler(loading);
    load::read_peers(loading);
    load::read_selectors(loading);
    load::read_profiles(loading);
    load::read_preload(loading);
    loading.keys.finish(report);

    ConfigLoad out;
    if (!report.failed()) {
        out.config = std::move(loading.config);
    }
    out.diagnostics = report.take();
    return out;
}

}  // namespace

ConfigLoad load_config(std::string_view yaml, std::string_view origin,
                       const EnvironmentLookup& environment) {
    Source source{origin, yaml};
    return load_all({&source, 1}, environment);
}

ConfigLoad load_config(std::span<const ConfigText> files, const EnvironmentLookup& environment) {
    if (files.empty()) {
        return load_config("", "", environment);
    }
    std::vector<Source> sources;
    sources.reserve(files.size());
    for (const ConfigText& file : files) {
        sources.push_back({file.name, file.text});
    }
    return load_all(sources, environment);
}

}  // namespace corral
