#include "core/config_load.hpp"

#include "core/load/loading.hpp"

#include <utility>

namespace corral {

using load::Loading;

ConfigLoad load_config(std::string_view yaml, std::string_view origin,
                       const EnvironmentLookup& environment) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (yaml.starts_with(byte_order_mark)) {
        yaml.remove_prefix(byte_order_mark.size());
    }
    load::Report report(yaml, std::string(origin));
    const auto tree = load::parse_yaml(yaml, environment, report);
    if (!tree) {
        return {std::nullopt, report.take()};
    }
    static const load::Node nothing;
    const load::Node& root = tree->root->is_map() ? *tree->root : nothing;
    if (!tree->root->is_map() && !tree->root->is_null()) {
        report.error(tree->root->mark,
                     std::string("cannot unmarshal ") +
                         (tree->root->is_sequence() ? "!!seq" : "!!str") + " into config.Config",
                     "the top level of the file is a mapping: `models:` and other keys");
    }
    Loading loading(report, root);
    loading.config.origin = std::string(origin);
    load::read_globals(loading);
    load::read_records(loading);
    load::read_upstream(loading);
    load::read_limits(loading);
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

}  // namespace corral
