#pragma once
// `POST /api/config/regenerate`: scan the model directories, renew the config and put it in force.
// All of that is above this room: app/ binds a RegenerateConfig. Main loop only.

#include "core/error.hpp"
#include "proxy/api/reload.hpp"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <optional>
#include <string>

namespace corral::http {
struct Answer;
struct RequestHead;
}  // namespace corral::http

namespace corral::api {

struct RegenerateReport {
    std::optional<Error> error;  ///< of the scan: nothing was written
    std::string changes;         ///< a JSON object: what the scan changed in the file
    ReloadReport reload;         ///< of the file as it is now
};

/// Scans, writes and reloads. Who asks while that goes on gets the same report.
using RegenerateConfig = std::function<boost::asio::awaitable<RegenerateReport>()>;

/// The answer: that of a reload, with `scan`: {"added":[…],"updated":[…],"gone":[…],"returned":[…],
/// "deleted":[…],"kept":[…]} in it.
[[nodiscard]] http::Answer regenerate_answer(const RegenerateReport& report,
                                             const http::RequestHead& request);

}  // namespace corral::api
