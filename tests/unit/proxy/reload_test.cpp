// The answer of a reload says all and quotes nothing.
#include "proxy/api/reload.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>

using namespace corral;
using namespace corral::api;
using Json = nlohmann::json;

namespace {

Diagnostic diagnostic(Severity severity, const char* message) {
    return {severity, "c.yaml", 3, 5, message, "do this", "    apiKeys: [secret]"};
}

}  // namespace

TEST_CASE("the answer of a reload: lists by what happened, warnings without quoted lines") {
    // Guards: every list is there when it is empty, too; notes are left out; no line is quoted.
    ReloadReport report;
    CHECK(Json::parse(reload_document(report)) == Json::parse(R"({"changed":false,"added":[],
        "removed":[],"restarted":[],"updated":[],"settings":[],"needs_restart":[],
        "warnings":[]})"));
    report.difference.added = {"a"};
    report.difference.removed = {"b\xff"};
    report.difference.settings = {"groups"};
    report.diagnostics = {diagnostic(Severity::note, "n"), diagnostic(Severity::warning, "w")};
    const Json answer = Json::parse(reload_document(report));
    CHECK(answer["changed"] == true);
    CHECK(answer["added"] == Json{"a"});
    CHECK(answer["removed"].size() == 1);
    CHECK(answer["settings"] == Json{"groups"});
    CHECK(answer["warnings"] == Json::parse(R"([{"severity":"warning","file":"c.yaml","line":3,
        "column":5,"message":"w","hint":"do this"}])"));
    CHECK(answer.dump().find("secret") == std::string::npos);
}

TEST_CASE("a broken config adds its mistakes to the error, and keeps what the error says") {
    // Guards: clients that know the error's shape go on working.
    const std::string error = R"({"src":"corral","error":{"message":"m","code":"c"}})";
    const auto answer =
        Json::parse(with_diagnostics(error, {diagnostic(Severity::error, "broken")}));
    CHECK(answer["src"] == "corral");
    CHECK(answer["error"]["message"] == "m");
    CHECK(answer["error"]["code"] == "c");
    CHECK(answer["error"]["diagnostics"][0]["message"] == "broken");
    CHECK(answer["error"]["diagnostics"][0]["severity"] == "error");
    CHECK(answer.dump().find("secret") == std::string::npos);
    CHECK(with_diagnostics("no JSON", {}) == "no JSON");
}
