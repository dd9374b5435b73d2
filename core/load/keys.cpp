#include "core/load/keys.hpp"

#include <array>

namespace corral::load {
namespace {

using enum Shape;
using enum Support;

constexpr std::array filter_keys{
    Key{"stripParams", text, works},
    Key{"strip_params", text, works},
    Key{"setParams", anything, works},
    Key{"setParamsByID", anything, works},
};

constexpr std::array timeout_keys{
    Key{"connect", integer, works},        Key{"keepalive", integer, works},
    Key{"responseHeader", integer, works}, Key{"tlsHandshake", integer, works},
    Key{"expectContinue", integer, works}, Key{"idleConn", integer, works},
};

constexpr std::array compat_keys{Key{"ignoreWebsockets", boolean, works}};

constexpr std::array capability_keys{
    Key{"in", texts, works},         Key{"out", texts, works},       Key{"tools", boolean, works},
    Key{"reranker", boolean, works}, Key{"context", integer, works},
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
    Key{"filters", mapping, works, filter_keys},
    Key{"metadata", anything, works},
    Key{"sendLoadingState", boolean, works},
    Key{"timeouts", mapping, works, timeout_keys},
    Key{"compat", mapping, works, compat_keys},
    Key{"capabilities", mapping, works, capability_keys},
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
    Key{"vars", anything, works},
    Key{"evict_costs", anything, works},
    Key{"sets", anything, works},
};

constexpr std::array router_settings_keys{
    Key{"groups", named, works, of_group},
    Key{"matrix", mapping, works, matrix_keys},
};
constexpr std::array router_keys{
    Key{"use", text, works},
    Key{"settings", mapping, works, router_settings_keys},
};
constexpr std::array fifo_keys{Key{"priority", anything, works}};
constexpr std::array scheduler_settings_keys{Key{"fifo", mapping, works, fifo_keys}};
constexpr std::array scheduler_keys{
    Key{"use", text, works},
    Key{"settings", mapping, works, scheduler_settings_keys},
};
constexpr std::array routing_keys{
    Key{"router", mapping, works, router_keys},
    Key{"scheduler", mapping, works, scheduler_keys},
};

constexpr std::array of_profile{
    Key{"description", text, works},
    Key{"pins", anything, works},
};
constexpr std::array selector_settings_keys{Key{"spillover", integer, works}};
constexpr std::array of_selector{
    Key{"strategy", text, works},
    Key{"targets", texts, works},
    Key{"settings", mapping, works, selector_settings_keys},
    Key{"name", text, works},
    Key{"description", text, works},
    Key{"unlisted", boolean, works},
    Key{"metadata", anything, works},
};
constexpr std::array of_peer{
    Key{"proxy", text, works},
    Key{"apiKey", text, works},
    Key{"models", texts, works},
    Key{"filters", mapping, works, filter_keys},
    Key{"timeouts", mapping, works, timeout_keys},
};

constexpr std::array store_keys{Key{"path", text, works}};
constexpr std::array activity_keys{Key{"session_id", texts, works}};
constexpr std::array ui_keys{Key{"activity", mapping, works, activity_keys}};
constexpr std::array performance_keys{
    Key{"disabled", boolean, works},
    Key{"every", text, works},
};
constexpr std::array upstream_keys{Key{"ignorePaths", texts, works}};
constexpr std::array startup_keys{Key{"preload", texts, works}};
constexpr std::array hook_keys{Key{"on_startup", mapping, works, startup_keys}};

constexpr std::array of_top_level{
    Key{"healthCheckTimeout", integer, works},
    Key{"logLevel", text, works},
    Key{"globalTTL", integer, works},
    Key{"unloadTimeout", integer, works},
    Key{"startPort", integer, works},
    Key{"includeAliasesInList", boolean, works},
    Key{"apiKeys", texts, works},
    Key{"macros", anything, works},
    Key{"hooks", mapping, works, hook_keys},
    Key{"models", named, works, of_model},
    Key{"groups", named, works, of_group},
    Key{"routing", mapping, works, routing_keys},
    Key{"limits", mapping, works, of_limits},
    Key{"matrix", mapping, works, matrix_keys},
    Key{"profiles", named, works, of_profile},
    Key{"selectors", named, works, of_selector},
    Key{"peers", named, works, of_peer},
    Key{"logRequests", boolean, silent},
    Key{"logTimeFormat", text, later},
    Key{"logToStdout", text, later},
    Key{"metricsMaxInMemory", integer, later},
    Key{"captureBuffer", integer, later},
    Key{"store", mapping, later, store_keys},
    Key{"ui", mapping, later, ui_keys},
    Key{"performance", mapping, later, performance_keys},
    Key{"sendLoadingState", boolean, works},
    Key{"upstream", mapping, works, upstream_keys},
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
std::span<const Key> profile_keys() noexcept {
    return of_profile;
}
std::span<const Key> selector_keys() noexcept {
    return of_selector;
}
std::span<const Key> peer_keys() noexcept {
    return of_peer;
}
std::span<const Key> limit_keys() noexcept {
    return of_limits;
}

}  // namespace corral::load
