#include "core/load/keys.hpp"

#include <array>

namespace corral::load {
namespace {

using enum Shape;
using enum Support;

constexpr std::array filter_keys{
    Key{"stripParams", text, later},
    Key{"strip_params", text, later},
    Key{"setParams", anything, later},
    Key{"setParamsByID", anything, later},
};

constexpr std::array timeout_keys{
    Key{"connect", integer, later, "30"},          Key{"keepalive", integer, later, "30"},
    Key{"responseHeader", integer, later, "0|60"}, Key{"tlsHandshake", integer, later, "10"},
    Key{"expectContinue", integer, later, "1"},    Key{"idleConn", integer, later, "90"},
};

constexpr std::array compat_keys{Key{"ignoreWebsockets", boolean, later}};

constexpr std::array capability_keys{
    Key{"in", texts, later},
    Key{"out", texts, later},
    Key{"tools", boolean, later},
    Key{"reranker", boolean, later},
    Key{"context", integer, later, "0"},
};

constexpr std::array of_model{
    Key{"cmd", text, works},
    Key{"cmdStop", text, works},
    Key{"proxy", text, works},
    Key{"aliases", texts, works},
    Key{"env", texts, works},
    Key{"checkEndpoint", text, works},
    Key{"ttl", integer, works},
    Key{"unloadTimeout", integer, works},
    Key{"unlisted", boolean, works},
    Key{"useModelName", text, works},
    Key{"name", text, works},
    Key{"description", text, works},
    Key{"concurrencyLimit", integer, works},
    Key{"healthCheckTimeout", integer, works},
    Key{"macros", anything, works},
    Key{"filters", mapping, later, {}, filter_keys},
    Key{"metadata", anything, later},
    Key{"sendLoadingState", boolean, later},
    Key{"timeouts", mapping, later, {}, timeout_keys},
    Key{"compat", mapping, later, {}, compat_keys},
    Key{"capabilities", mapping, later, {}, capability_keys},
};

constexpr std::array of_group{
    Key{"swap", boolean, works},
    Key{"exclusive", boolean, works},
    Key{"persistent", boolean, works},
    Key{"members", texts, works},
};

constexpr std::array of_limits{
    Key{"headBytesMax", anything, works},      Key{"headLineBytesMax", anything, works},
    Key{"headFieldsMax", anything, works},     Key{"bodyBuffered", anything, works},
    Key{"bodyBufferedTotal", anything, works}, Key{"connections", anything, works},
    Key{"waitingPerModel", anything, works},   Key{"headTimeout", anything, works},
    Key{"bodyIdleTimeout", anything, works},   Key{"keepAliveTimeout", anything, works},
    Key{"writeTimeout", anything, works},      Key{"queueTimeout", anything, works},
    Key{"connectTimeout", anything, works},    Key{"probeTimeout", anything, works},
    Key{"shutdownGrace", anything, works},
};

constexpr std::array matrix_keys{
    Key{"vars", anything, later},
    Key{"evict_costs", anything, later},
    Key{"sets", anything, later},
};

constexpr std::array router_settings_keys{
    Key{"groups", named, works, {}, of_group},
    Key{"matrix", mapping, later, {}, matrix_keys},
};
constexpr std::array router_keys{
    Key{"use", text, works},
    Key{"settings", mapping, works, {}, router_settings_keys},
};
constexpr std::array fifo_keys{Key{"priority", anything, later}};
constexpr std::array scheduler_settings_keys{Key{"fifo", mapping, later, {}, fifo_keys}};
constexpr std::array scheduler_keys{
    Key{"use", text, later, "fifo"},
    Key{"settings", mapping, later, {}, scheduler_settings_keys},
};
constexpr std::array routing_keys{
    Key{"router", mapping, works, {}, router_keys},
    Key{"scheduler", mapping, later, {}, scheduler_keys},
};

constexpr std::array profile_keys{
    Key{"description", text, silent},
    Key{"pins", anything, silent},
};
constexpr std::array selector_settings_keys{Key{"spillover", integer, silent}};
constexpr std::array selector_keys{
    Key{"strategy", text, silent},
    Key{"targets", texts, silent},
    Key{"settings", mapping, silent, {}, selector_settings_keys},
    Key{"name", text, silent},
    Key{"description", text, silent},
    Key{"unlisted", boolean, silent},
    Key{"metadata", anything, silent},
};
constexpr std::array peer_keys{
    Key{"proxy", text, silent},        Key{"apiKey", text, silent},
    Key{"models", texts, silent},      Key{"filters", anything, silent},
    Key{"timeouts", anything, silent},
};

constexpr std::array store_keys{Key{"path", text, later}};
constexpr std::array activity_keys{Key{"session_id", texts, later}};
constexpr std::array ui_keys{Key{"activity", mapping, later, {}, activity_keys}};
constexpr std::array performance_keys{
    Key{"disabled", boolean, later},
    Key{"every", text, later, "5s"},
};
constexpr std::array upstream_keys{Key{"ignorePaths", texts, later}};
constexpr std::array startup_keys{Key{"preload", texts, works}};
constexpr std::array hook_keys{Key{"on_startup", mapping, works, {}, startup_keys}};

constexpr std::array of_top_level{
    Key{"healthCheckTimeout", integer, works},
    Key{"logLevel", text, works},
    Key{"globalTTL", integer, works},
    Key{"unloadTimeout", integer, works},
    Key{"startPort", integer, works},
    Key{"includeAliasesInList", boolean, works},
    Key{"apiKeys", texts, works},
    Key{"macros", anything, works},
    Key{"hooks", mapping, works, {}, hook_keys},
    Key{"models", named, works, {}, of_model},
    Key{"groups", named, works, {}, of_group},
    Key{"routing", mapping, works, {}, routing_keys},
    Key{"limits", mapping, works, {}, of_limits},
    Key{"matrix", mapping, later, {}, matrix_keys},
    Key{"profiles", named, later, {}, profile_keys},
    Key{"selectors", named, later, {}, selector_keys},
    Key{"peers", named, later, {}, peer_keys},
    Key{"logRequests", boolean, silent},
    Key{"logTimeFormat", text, later},
    Key{"logToStdout", text, later, "proxy"},
    Key{"metricsMaxInMemory", integer, later, "1000"},
    Key{"captureBuffer", integer, later, "5|0"},
    Key{"store", mapping, later, {}, store_keys},
    Key{"ui", mapping, later, {}, ui_keys},
    Key{"performance", mapping, later, {}, performance_keys},
    Key{"sendLoadingState", boolean, later},
    Key{"upstream", mapping, later, {}, upstream_keys},
};

}  // namespace

std::span<const Key> top_level_keys() noexcept {
    return of_top_level;
}
std::span<const Key> model_keys() noexcept {
    return of_model;
}
std::span<const Key> group_keys() noexcept {
    return of_group;
}
std::span<const Key> limit_keys() noexcept {
    return of_limits;
}

}  // namespace corral::load
