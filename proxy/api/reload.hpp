#pragma once
// `POST /api/config/reload`: what a reload did, and how its answer reads. Reading the files is
// above this room: app/ binds a ReloadConfig. Main loop only.

#include "core/config_difference.hpp"
#include "core/diagnostic.hpp"
#include "core/error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http {
struct Answer;
struct RequestHead;
}  // namespace corral::http

namespace corral::api {

struct ReloadReport {
    std::optional<Error> error;           ///< nothing was changed, and why
    ConfigDifference difference;          ///< of the config that holds now to the one before
    std::vector<Diagnostic> diagnostics;  ///< of the files, warnings included
};

/// Loads the config anew and puts it in force. The load begins after the call.
using ReloadConfig = std::function<ReloadReport()>;

/// Reloads and answers: 200 with reload_document(), else the error in the form that the request
/// accepts, in JSON with every mistake. An empty `reload` is 501.
[[nodiscard]] http::Answer reload_answer(const ReloadConfig& reload,
                                         const http::RequestHead& request);

/// The answer 200: {"changed":…,"added":[…],"removed":[…],"restarted":[…],"updated":[…],
/// "settings":[…],"needs_restart":[…],"warnings":[…]}.
[[nodiscard]] std::string reload_document(const ReloadReport& report);

/// `error_document`, the JSON of an error, with `error.diagnostics` in it: each {severity, file,
/// line, column, message, hint}. Lines of the files are not quoted: they may hold secrets.
[[nodiscard]] std::string with_diagnostics(std::string_view error_document,
                                           const std::vector<Diagnostic>& diagnostics);

}  // namespace corral::api
