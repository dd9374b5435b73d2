// What a scan did, in words; declared in rescan.hpp.

#include "app/rescan.hpp"
#include "core/quantity.hpp"
#include "discovery/text.hpp"
#include "discovery/unified_diff.hpp"

#include <algorithm>
#include <map>

namespace corral {

std::vector<std::string> describe(const Renewal& renewal) {
    std::map<std::string, const WrittenModel*> models;
    for (const WrittenModel& model : renewal.written.models) {
        models.emplace(model.id, &model);
    }
    std::vector<std::string> lines;
    constexpr std::string_view came = "+ ";
    const auto list = [&](const std::vector<std::string>& ids, std::string_view mark,
                          std::string_view what) {
        for (const std::string& id : ids) {
            const auto model = models.find(id);
            const bool is_there = model != models.end();
            lines.push_back(std::string(mark) + escaped(id) +
                            (is_there ? "  " + escaped(model->second->path) : std::string()) +
                            std::string(what));
            if (is_there && mark == came) {
                for (const std::string& note : model->second->notes) {
                    lines.push_back("    " + note);
                }
            }
        }
    };
    const MergeReport& report = renewal.report;
    list(report.added, came, "");
    list(report.returned, came, "  (back again)");
    list(report.updated, "~ ", "");
    list(report.gone, "- ", "  (its file has gone: commented out)");
    list(report.absent, "! ",
         renewal.is_partial ? "  (its file is not to be seen: it stays as it is)"
                            : "  (its file has gone, but the config names the model elsewhere)");
    list(report.deleted, "  ",
         " was taken out by hand and stays out; --forget NAME brings it back");
    for (const KeptBlock& kept : report.kept) {
        lines.push_back(
            "  " + escaped(kept.id) + " was changed by hand and stays as it is" +
            (kept.moved_to.empty() ? "" : "; its file is now " + escaped(kept.moved_to)) +
            (kept.generated.empty() ? "" : "; scan would change this:"));
        const std::string changes =
            kept.generated.empty() ? "" : line_changes(kept.written, kept.generated);
        for (std::size_t at = 0; at < changes.size();) {
            const std::size_t end = std::min(changes.find('\n', at), changes.size());
            lines.push_back("    " + escaped(changes.substr(at, end - at), 1000));
            at = end + 1;
        }
    }
    if (report.group_changed) {
        lines.push_back("~ the group follows " + counted(renewal.written.models.size(), "model"));
    }
    return lines;
}

}  // namespace corral
