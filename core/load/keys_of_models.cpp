// The table of keys: a model, a peer, and what the two share.
#include "core/load/keys.hpp"

#include <array>

namespace corral::load {
namespace {

using enum Shape;
using enum Support;

constexpr std::array of_filters{
    Key{"stripParams", text, "",
        "names of JSON fields to take out of a request, with commas between them; `model` stays"},
    Key{"strip_params", text, "", "an older spelling of `stripParams`, which wins"},
    Key{"setParams", anything_by_name, "{}",
        "fields to put into a request's JSON: path (`a`, `a.b`, `a.0`) → value; `model` stays"},
    Key{"setParamsByID", settings_by_names, "{}",
        "the same for requests that ask for this name only, which becomes an alias: name → path → "
        "value"},
};

constexpr std::array<Key, 6> timeouts(std::string_view response_header,
                                      std::string_view idle_compared) {
    return {{
        {"connect", seconds, "30", "for connecting; 0: no limit", Traits{.least = 0}},
        {"keepalive", seconds, "30", "the period of TCP keep-alive; 0: the system's",
         Traits{.least = 0}},
        {"responseHeader", seconds, response_header, "for the head of an answer; 0: no limit",
         Traits{.least = 0}},
        {"tlsHandshake", seconds, "10", "for the TLS handshake; 0: no limit", Traits{.least = 0}},
        {"expectContinue", seconds, "1",
         "for `100 Continue`, which Corral asks no upstream for: it gives that itself",
         Traits{.support = later, .least = 0}},
        {"idleConn", seconds, "90", "how long an idle connection is kept; 0: for ever",
         Traits{.least = 0, .compared = idle_compared}},
    }};
}
constexpr auto of_timeouts = timeouts("0", "1.5 s at most");
std::span<const Key> timeout_keys() noexcept {
    return of_timeouts;
}
constexpr auto of_peer_timeouts = timeouts("60", "");
std::span<const Key> peer_timeout_keys() noexcept {
    return of_peer_timeouts;
}

constexpr std::array of_compat{
    Key{"ignoreWebsockets", boolean, "false",
        "WebSockets neither load the model nor keep it loaded, and take no place in it"},
};
std::span<const Key> compat_keys() noexcept {
    return of_compat;
}

constexpr std::int64_t mib = 1024LL * 1024;
constexpr std::array of_model_limits{
    Key{"memory", size, "",
        "RAM of the whole process tree, above which the model is ended: anonymous and shared "
        "memory; pages of mapped files do not count, as the kernel can take them back",
        Traits{.least = mib, .most = 1024 * 1024 * 1024 * mib, .otherwise = "no limit"}},
    Key{"nice", integer, "", "its priority for the processor; below Corral's own it needs rights",
        Traits{.least = -20, .most = 19, .otherwise = "Corral's own"}},
    Key{"oomScoreAdj", integer, "",
        "how readily the kernel ends it when memory runs out; below Corral's own it needs rights",
        Traits{.least = -1000, .most = 1000, .otherwise = "Corral's own"}},
    Key{"threads", integer, "",
        "guides `corral scan`; a `cmd` that says something else is warned of",
        Traits{.least = 1, .most = 65'536, .otherwise = "the engine decides"}},
    Key{"gpuLayers", integer, "",
        "guides `corral scan`; a `cmd` that says something else is warned of",
        Traits{.least = 0, .most = 65'536, .otherwise = "the engine decides"}},
};
std::span<const Key> model_limit_keys() noexcept {
    return of_model_limits;
}

constexpr std::array<std::string_view, 3> modalities{"text", "audio", "image"};
constexpr std::array of_capabilities{
    Key{"in", words, "[]", "what it takes", Traits{.words = modalities}},
    Key{"out", words, "[]", "what it gives", Traits{.words = modalities}},
    Key{"tools", boolean, "false", "it calls tools"},
    Key{"reranker", boolean, "false", "it ranks documents"},
    Key{"context", integer, "0", "tokens of context; 0: not said", Traits{.least = 0}},
};
std::span<const Key> capability_keys() noexcept {
    return of_capabilities;
}

constexpr std::array of_model_hooks{
    Key{"afterReady", text, "", "when it is ready; requests do not wait for it"},
    Key{"beforeStop", text, "", "before it is stopped, which waits for it"},
    Key{"afterStop", text, "", "when its process has ended, however it did"},
    Key{"timeout", span, "10s", "what each may take; then it is killed",
        Traits{.least = 1, .most = 24LL * 3600 * 1000}},
};
std::span<const Key> model_hook_keys() noexcept {
    return of_model_hooks;
}

constexpr std::array<std::string_view, 2> keep_alive_words{"onDemand", "always"};
constexpr std::array of_model{
    Key{"cmd", text, "", "the command that starts it, see below",
        Traits{.required = true,
               .compared =
                   "a model without it, and quotes that do not end, are found when the file is "
                   "loaded"}},
    Key{"cmdStop", text, "", "the command that stops it; `${PID}` is the process of `cmd`",
        Traits{.otherwise = "SIGTERM", .compared = "one that hangs is ended, too"}},
    Key{"proxy", endpoint, "http://localhost:${PORT}",
        "where it answers: `http://HOST[:PORT][/base]`, `https://…` or `unix:///path`",
        Traits{.compared = "Unix sockets are an extension"}},
    Key{"aliases", texts, "[]", "other names that requests may use",
        Traits{.compared = "one that is also the name of a model is warned of"}},
    Key{"env", assignments, "[]",
        "`NAME=value`, added to Corral's own environment; may hold `${PORT}`",
        Traits{.compared = "anything else is warned of and left out"}},
    Key{"checkEndpoint", text, "/health",
        "the path that answers 200 when it is ready; `none`: ready when its port listens",
        Traits{.compared = "a missing `/` is added; `none` waits for the port"}},
    Key{"ttl", seconds, "-1",
        "idle time after which it is unloaded; 0: never; -1: `globalTTL` holds",
        Traits{.least = -1}},
    Key{"unloadTimeout", seconds, "0",
        "from SIGTERM or `cmdStop` to SIGKILL; 0: the global `unloadTimeout` holds",
        Traits{.least = 0, .compared = "holds when it is stopped for another model, too"}},
    Key{"healthCheckTimeout", seconds, "", "from its start to its first answer",
        Traits{
            .least = 1, .otherwise = "the global one", .compared = "llama-swap ignores it here"}},
    Key{"startStallTimeout", span, "0",
        "a start that prints nothing and reads no file for so long has failed; 0: only "
        "`healthCheckTimeout` counts",
        Traits{.extension = true, .least = 0, .most = 24LL * 3600 * 1000}},
    Key{"cmdStopTimeout", span, "0",
        "what `cmdStop` may take before it is killed and SIGTERM takes its place; 0: "
        "`unloadTimeout`",
        Traits{.extension = true, .least = 0, .most = 24LL * 3600 * 1000}},
    Key{"keepAlive", word, "onDemand",
        "`always`: when it ends by itself after it was ready, it is started again at once, where "
        "nothing has to go for it",
        Traits{.extension = true, .words = keep_alive_words}},
    Key{"hooks", mapping, "{}",
        "commands that run beside it, like `cmdStop`: no shell; `${PORT}` and `${PID}` are those "
        "of its process; one that fails is warned of in the log",
        Traits{.extension = true, .members = model_hook_keys}},
    Key{"concurrencyLimit", integer, "0",
        "requests at once, waiting ones included; more get 429; 0: 10", Traits{.least = 0}},
    Key{"unlisted", boolean, "false", "usable, but not in `/v1/models`"},
    Key{"useModelName", text, "", "the name that the request carries to the model",
        Traits{.otherwise = "the request's"}},
    Key{"name", text, "", "for people who list the models"},
    Key{"description", text, "", "for people who list the models"},
    Key{"macros", scalars_by_name, "{}", "as at the top level, for this model",
        Traits{.names = "^[a-zA-Z0-9_-]{1,63}$"}},
    Key{"filters", mapping, "{}", "what is changed in requests before they are sent on",
        Traits{.members = filter_keys}},
    Key{"metadata", anything_by_name, "{}", "shown by `/v1/models`"},
    Key{"sendLoadingState", boolean, "",
        "a client that streams is told how the loading goes, in a chat as reasoning text",
        Traits{.otherwise = "the global one"}},
    Key{"loadingKeepAlive", interval, "",
        "how often a client that streams gets a comment while it loads",
        Traits{.extension = true, .least = 100, .otherwise = "the global one"}},
    Key{"timeouts", mapping, "{}", "of the connections to it", Traits{.members = timeout_keys}},
    Key{"limits", mapping, "{}", "what its process may take",
        Traits{.extension = true, .members = model_limit_keys}},
    Key{"compat", mapping, "{}", "for clients that need something special",
        Traits{.members = compat_keys}},
    Key{"capabilities", mapping, "{}", "what it can do, shown by `/v1/models`",
        Traits{.members = capability_keys}},
};

constexpr std::array of_peer{
    Key{"proxy", url, "", "its address, `http://HOST[:PORT][/base]` or `https://…`",
        Traits{.required = true}},
    Key{"apiKey", text, "", "sent to it in place of the client's key"},
    Key{"models", texts, "", "its models that are offered here, each as `peer/model`",
        Traits{.required = true, .least = 1}},
    Key{"filters", mapping, "{}", "what is changed in requests before they are sent on",
        Traits{.members = filter_keys}},
    Key{"timeouts", mapping, "{}", "of the connections to it",
        Traits{.members = peer_timeout_keys}},
};

}  // namespace

std::span<const Key> model_keys() noexcept {
    return of_model;
}
std::span<const Key> peer_keys() noexcept {
    return of_peer;
}
std::span<const Key> filter_keys() noexcept {
    return of_filters;
}

}  // namespace corral::load
