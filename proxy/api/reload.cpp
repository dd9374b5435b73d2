#include "proxy/api/reload.hpp"

#include "proxy/http/answer.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace corral::api {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& document) {
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json list_of(const std::vector<Diagnostic>& diagnostics, Severity least) {
    Json out = Json::array();
    for (const Diagnostic& diagnostic : diagnostics) {
        if (diagnostic.severity >= least) {
            out.push_back({{"severity", severity_name(diagnostic.severity)},
                           {"file", diagnostic.file},
                           {"line", diagnostic.line},
                           {"column", diagnostic.column},
                           {"message", diagnostic.message},
                           {"hint", diagnostic.hint}});
        }
    }
    return out;
}

}  // namespace

http::Answer reload_answer(const ReloadConfig& reload, const http::RequestHead& request) {
    ReloadReport report;
    if (reload) {
        report = reload();
    } else {
        report.error = Error(Errc::unsupported, Blame::internal, "this program cannot reload");
    }
    http::Answer answer;
    if (!report.error) {
        answer.content_type = "application/json";
        answer.body = reload_document(report);
        return answer;
    }
    answer = http::answer_of(*report.error, &request);
    if (answer.content_type == "application/json") {
        answer.body = with_diagnostics(answer.body, report.diagnostics);
    }
    return answer;
}

std::string reload_document(const ReloadReport& report) {
    const ConfigDifference& difference = report.difference;
    return dump({{"changed", !difference.empty()},
                 {"added", difference.added},
                 {"removed", difference.removed},
                 {"restarted", difference.restarted},
                 {"updated", difference.updated},
                 {"settings", difference.settings},
                 {"needs_restart", difference.needs_restart},
                 {"warnings", list_of(report.diagnostics, Severity::warning)}});
}

std::string with_diagnostics(std::string_view error_document,
                             const std::vector<Diagnostic>& diagnostics) {
    Json document = Json::parse(error_document, nullptr, false);
    if (!document.is_object() || !document["error"].is_object()) {
        return std::string(error_document);
    }
    document["error"]["diagnostics"] = list_of(diagnostics, Severity::warning);
    return dump(document);
}

}  // namespace corral::api
