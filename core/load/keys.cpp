// The table of keys: the top level of the file. What lies below is in keys_of_*.cpp.
#include "core/load/keys.hpp"

#include <algorithm>
#include <array>

namespace corral::load {
namespace {

using enum Shape;
using enum Support;

constexpr std::array of_startup{
    Key{"preload", texts, "[]", "models or aliases to load when Corral starts",
        Traits{.compared = "an unknown name is warned of"}},
};
std::span<const Key> startup_keys() noexcept {
    return of_startup;
}
constexpr std::array of_hooks{
    Key{"on_startup", mapping, "{}", "when Corral starts", Traits{.members = startup_keys}},
};
std::span<const Key> hook_keys() noexcept {
    return of_hooks;
}

constexpr std::array of_upstream{
    Key{"ignorePaths", patterns, R"(['.*\.(js|json|css|png|gif|jpg|jpeg|ico|txt)$'])",
        "regular expressions (RE2); a request below `/upstream/` whose path one of them matches "
        "does not load the model"},
};
std::span<const Key> upstream_keys() noexcept {
    return of_upstream;
}

constexpr std::array of_store{
    Key{"path", text, "", "the SQLite file that keeps the activity",
        Traits{.required = true, .otherwise = "memory only"}},
};
std::span<const Key> store_keys() noexcept {
    return of_store;
}

constexpr std::array of_activity{
    Key{"session_id", texts, R"(["X-Session-ID", "X-Litellm-Session-Id"])",
        "header fields whose value is shown as the session of a request; `[]`: none"},
};
std::span<const Key> activity_keys() noexcept {
    return of_activity;
}
constexpr std::array of_ui{
    Key{"activity", mapping, "{}", "the page of the activity", Traits{.members = activity_keys}},
};
std::span<const Key> ui_keys() noexcept {
    return of_ui;
}

constexpr std::array of_performance{
    Key{"disabled", boolean, "false", "`GET /metrics` is switched off: 503"},
    Key{"every", duration, "5s", "how often the machine's load is measured, at least every `5s`",
        Traits{.support = later}},
};
std::span<const Key> performance_keys() noexcept {
    return of_performance;
}

constexpr std::array of_logs{
    Key{"directory", text, "", "a file for each model there, and `corral.log`",
        Traits{.otherwise = "no files"}},
    Key{"fileBytesMax", size, "10MiB", "a file that would grow beyond it becomes `NAME.log.1`",
        Traits{.least = 4096, .most = std::int64_t{1} << 40}},
    Key{"filesMax", integer, "5", "files of each, the one that grows included",
        Traits{.least = 1, .most = 1000}},
    Key{"journal", boolean, "false",
        "the models' lines go to systemd's journal, each with the field `MODEL`"},
};
std::span<const Key> logs_keys() noexcept {
    return of_logs;
}

constexpr std::array of_tls{
    Key{"certFile", text, "", "the certificate in PEM form, those of its authorities behind it",
        Traits{.required = true, .otherwise = "plain HTTP"}},
    Key{"keyFile", text, "", "its private key in PEM form, without a passphrase",
        Traits{.required = true, .otherwise = "plain HTTP"}},
};
std::span<const Key> tls_keys() noexcept {
    return of_tls;
}

constexpr std::array<std::string_view, 4> levels{"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 4> outputs{"proxy", "upstream", "both", "none"};
constexpr std::array<std::string_view, 2> h2c_words{"refuse", "ignore"};
constexpr std::array<std::string_view, 16> time_formats{
    "",       "ansic",      "unixdate",   "rubydate", "rfc822",      "rfc822z",
    "rfc850", "rfc1123",    "rfc1123z",   "rfc3339",  "rfc3339nano", "kitchen",
    "stamp",  "stampmilli", "stampmicro", "stampnano"};

constexpr std::array of_top_level{
    Key{"models", named, "{}", "name → model, see below",
        Traits{.compared = "a model with an empty name is warned of", .members = model_keys}},
    Key{"healthCheckTimeout", seconds, "120", "from the start of a model to its first answer",
        Traits{.least = 15,
               .compared =
                   "less than 15 is raised to 15, here with a warning; it is not used as the "
                   "time to stop for another model"}},
    Key{"globalTTL", seconds, "0", "idle time after which a model is unloaded; 0: never",
        Traits{.least = 0, .compared = "counted from the end of the last answer"}},
    Key{"unloadTimeout", seconds, "10", "from SIGTERM or `cmdStop` to SIGKILL; 0: the default",
        Traits{.least = 0, .compared = "holds when a model is stopped for another, too"}},
    Key{"listen", text_or_texts, "", "where Corral listens, see below; `--listen` goes before it",
        Traits{.extension = true, .otherwise = "`127.0.0.1:8091`"}},
    Key{"tls", mapping, "",
        "the clients of TCP addresses speak TLS; `--tls-cert-file` and `--tls-key-file` go before "
        "it",
        Traits{.extension = true, .members = tls_keys}},
    Key{"startPort", integer, "5800", "the first number for `${PORT}`",
        Traits{.least = 1,
               .most = 65535,
               .compared = "a port that is in use is passed over; above 65535 is warned of"}},
    Key{"macros", scalars_by_name, "{}", "name → text, number or bool, for `${name}`, see below",
        Traits{.names = "^[a-zA-Z0-9_-]{1,63}$"}},
    Key{"apiKeys", texts, "[]", "when there are any, every request needs one"},
    Key{"allowedHosts", texts, "[]",
        "names, besides addresses and those of this network, that Corral may be asked by while "
        "there are no `apiKeys`; `*.example.org`: all below it, `*`: any, see "
        "[security.md](security.md)",
        Traits{.extension = true}},
    Key{"allowedOrigins", texts, "[]",
        "web pages, besides Corral's own and those of this machine, that may use it: "
        "`https://chat.example.org`; `*`: any",
        Traits{.extension = true}},
    Key{"trustedProxies", texts, "[]",
        "addresses and ranges (`10.0.0.0/8`) of proxies whose `X-Forwarded-*` is believed; `unix`: "
        "whoever comes by a Unix socket",
        Traits{.extension = true}},
    Key{"h2cUpgrade", word, "refuse",
        "a request that offers HTTP/2 by `Upgrade: h2c`, as each of Java's HttpClient does unless "
        "it is told to speak HTTP/1.1: `refuse`: 501; `ignore`: it is served with HTTP/1.1",
        Traits{.extension = true, .words = h2c_words}},
    Key{"includeAliasesInList", boolean, "false", "`/v1/models` lists aliases, too"},
    Key{"sendLoadingState", boolean, "false",
        "a client that streams is told how the loading goes, in a chat as reasoning text; a "
        "model's "
        "own setting wins",
        Traits{.compared = "not for chats only; every event is one that its API has, see below"}},
    Key{"loadingKeepAlive", interval, "false",
        "while a model loads, a client that streams gets a comment this often, `true`: every `1s`, "
        "so that nothing between them gives up; a model's own setting wins",
        Traits{.extension = true, .least = 100}},
    Key{"hooks", mapping, "{}", "what happens by itself", Traits{.members = hook_keys}},
    Key{"upstream", mapping, "{}", "the paths below `/upstream/`",
        Traits{.members = upstream_keys}},
    Key{"routing", mapping, "{}", "which models may run together, and who goes first",
        Traits{.members = routing_keys}},
    Key{"groups", named, "{}",
        "name → group, see below; an older place for "
        "`routing.router.settings.groups`",
        Traits{.members = group_keys}},
    Key{"matrix", mapping, "", "an older place for `routing.router.settings.matrix`",
        Traits{.members = matrix_keys}},
    Key{"profiles", named, "{}", "name → profile, see below", Traits{.members = profile_keys}},
    Key{"selectors", named, "{}", "name → selector, see below", Traits{.members = selector_keys}},
    Key{"peers", named, "{}", "name → peer, see below", Traits{.members = peer_keys}},
    Key{"logLevel", word, "info", "what is logged",
        Traits{.any_case = true, .words = levels, .compared = "an unknown one is warned of"}},
    Key{"logTimeFormat", word, "", "how the time is written in the log, by Go's names",
        Traits{.support = later,
               .any_case = true,
               .words = time_formats,
               .otherwise = "no time",
               .compared = "an unknown one is warned of"}},
    Key{"logToStdout", word, "proxy",
        "which output is shown, and is in `GET /logs`: Corral's own (on standard error), the "
        "models' (on standard output), both, none",
        Traits{.words = outputs}},
    Key{"logs", mapping, "{}", "further places for output",
        Traits{.extension = true, .members = logs_keys}},
    Key{"logRequests", boolean, "false", "nothing, in llama-swap neither",
        Traits{.support = silent}},
    Key{"metricsMaxInMemory", integer, "1000", "requests that the activity remembers",
        Traits{.support = later, .least = 1}},
    Key{"captureBuffer", integer, "5", "MB for recorded requests and answers; 0: none",
        Traits{.support = later, .least = 0}},
    Key{"store", mapping, "", "where the activity is kept",
        Traits{.support = later, .members = store_keys}},
    Key{"ui", mapping, "{}", "the web page", Traits{.support = later, .members = ui_keys}},
    Key{"performance", mapping, "{}", "watching the machine's load",
        Traits{.members = performance_keys}},
    Key{"limits", mapping, "{}", "Corral's own bounds and times, see below",
        Traits{.extension = true, .members = limit_keys}},
    Key{"discovery", mapping, "{}",
        "what `corral scan` goes by when it writes this file, see below",
        Traits{.extension = true, .members = discovery_keys}},
};

bool is_upper(char c) noexcept {
    return c >= 'A' && c <= 'Z';
}

char lower(char c) noexcept {
    return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Whether `name` == snake_case(key), without making it.
bool is_snake_case_of(std::string_view name, std::string_view key) noexcept {
    std::size_t at = 0;
    for (const char c : key) {
        if (is_upper(c) && (at >= name.size() || name[at++] != '_')) {
            return false;
        }
        if (at >= name.size() || name[at++] != lower(c)) {
            return false;
        }
    }
    return at == name.size();
}

}  // namespace

const Key* find_key(std::span<const Key> keys, std::string_view name) noexcept {
    const bool two_spellings = keys.data() == limit_keys().data();
    const auto at = std::find_if(keys.begin(), keys.end(), [&](const Key& key) {
        return key.name == name || (two_spellings && is_snake_case_of(name, key.name));
    });
    return at != keys.end() ? &*at : nullptr;
}

std::string snake_case(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (is_upper(c)) {
            out += '_';
        }
        out += lower(c);
    }
    return out;
}

std::span<const Key> top_level_keys() noexcept {
    return of_top_level;
}

}  // namespace corral::load
