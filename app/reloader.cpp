#include "app/reloader.hpp"

#include "app/notify.hpp"
#include "core/config_difference.hpp"
#include "core/log.hpp"
#include "core/quantity.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace corral {
namespace {

constexpr std::size_t line_bytes_max = 2048;

std::string_view name_of(ReloadCause cause) {
    constexpr std::array<std::string_view, 4> names{"SIGHUP", "POST /api/config/reload",
                                                    "the file changed", "a scan"};
    return names.at(static_cast<std::size_t>(cause));
}

/// The first mistake with its place, else what went wrong altogether.
std::string first_line(const api::ReloadReport& report) {
    const auto mistake =
        std::find_if(report.diagnostics.begin(), report.diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::error; });
    if (mistake == report.diagnostics.end()) {
        return report.error->detail;
    }
    return mistake->file + ":" + std::to_string(mistake->line) + ":" +
           std::to_string(mistake->column) + ": " + mistake->message;
}

}  // namespace

Reloader::Reloader(ConfigSource& source, Fleet& fleet)
    : source_(source), fleet_(fleet), from_files_(!source.inputs().empty()) {}

api::ReloadReport Reloader::reload(ReloadCause cause) {
    notify::reloading();
    api::ReloadReport report = load_and_apply(cause);
    failure_ = report.error ? first_line(report) : "";
    tell(report, cause);
    notify::ready(status());
    return report;
}

api::ReloadReport Reloader::load_and_apply(ReloadCause cause) {
    api::ReloadReport report;
    auto loaded = source_.load();
    report.diagnostics = source_.diagnostics();
    if (!loaded) {
        report.error = loaded.error();
        return report;
    }
    const bool from_files = !source_.inputs().empty();
    if (cause == ReloadCause::file && from_files_ && !from_files) {
        // In the middle of a save, most likely: no reason to serve something else altogether.
        report.error = Error(Errc::io, Blame::internal, "the config file has gone");
        return report;
    }
    from_files_ = from_files;
    const std::shared_ptr<const Config> before = fleet_.config();
    report.difference = difference(*before, **loaded);
    if (**loaded != *before) {
        log::set_level((*loaded)->log_level);
        fleet_.apply(std::move(*loaded));
    }
    return report;
}

void Reloader::tell(const api::ReloadReport& report, ReloadCause cause) const {
    if (report.error) {
        source_.print_diagnostics();
        spdlog::warn("{}; the old configuration stays ({})",
                     log::clean(report.error->detail, line_bytes_max), name_of(cause));
        return;
    }
    // An editor's second save of the same text is no news; whoever asks gets an answer.
    const bool news = !report.difference.empty() || cause != ReloadCause::file;
    if (news) {
        source_.print_diagnostics();
    }
    spdlog::log(news ? spdlog::level::info : spdlog::level::debug,
                "configuration reloaded ({}): {}; {}", name_of(cause),
                log::clean(describe(report.difference), line_bytes_max),
                counted(fleet_.config()->models.size(), "model"));
}

std::string Reloader::status() const {
    std::string out = "serving " + counted(fleet_.config()->models.size(), "model");
    if (!failure_.empty()) {
        out += "; the last reload failed: " + log::clean(failure_, line_bytes_max);
    }
    return out;
}

}  // namespace corral
