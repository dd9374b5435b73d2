// core/config_dump: everything is shown, secrets are not, and the dump is a config again.
#include "core/config_dump.hpp"

#include "core/load/keys.hpp"
#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <string_view>

using namespace corral;
using Json = nlohmann::ordered_json;

namespace {

// At least one of everything that a file can say, without a secret.
constexpr std::string_view everything = R"yaml(
startPort: 7000
listen: [127.0.0.1:1, unix:/run/x.sock]
tls: {certFile: /x.pem, keyFile: /x.key}
logLevel: debug
logTimeFormat: rfc3339
logToStdout: both
includeAliasesInList: true
h2cUpgrade: ignore
healthCheckTimeout: 300
globalTTL: 60
unloadTimeout: 7
sendLoadingState: true
captureBuffer: 9
metricsMaxInMemory: 12
store: {path: /tmp/x.db}
performance: {disabled: true, every: 1m30s}
ui: {activity: {session_id: [X-Chat]}}
upstream: {ignorePaths: ['\.svg$']}
hooks: {on_startup: {preload: [a]}}
limits: {headTimeout: 250ms, queueTimeout: 90, bodyBuffered: 1MiB, connectionsPerPeer: 0}
discovery:
  directories: [~/models]
  engine: /opt/llama-server
  ttl: 0
  naming: filename
  aliases: {openai: false, rules: {coder: "*coder*"}}
  group: none
  watch: true
  overrides:
    "*70b*": {ttl: 5, ctx: 0, threads: 8, gpuLayers: 20, args: [--mlock], name: big}
    "/m/*": {skip: true}
macros: {host: far, temp: 0.5}
models:
  a:
    name: "The: first"
    description: "a\nb"
    cmd: |
      server  --port ${PORT}
        -m 'x y' \
        --ctx-size 1
    cmdStop: kill -9 ${PID}
    proxy: http://127.0.0.1:${PORT}/base
    checkEndpoint: none
    aliases: ["yes", "a: b", org/a]
    env: [A=b, "C= d #e"]
    useModelName: real
    unlisted: true
    ttl: 0
    healthCheckTimeout: 5
    unloadTimeout: 3
    concurrencyLimit: 4
    sendLoadingState: false
    filters:
      stripParams: "top_p, temperature"
      setParams: {t: "${temp}", n.k: [1, {x: null}], big: 1e21}
      setParamsByID: {"a:high": {effort: high}}
    timeouts:
      {connect: 1, keepalive: 2, responseHeader: 3, tlsHandshake: 4, expectContinue: 5, idleConn: 6}
    limits: {memory: 8GiB, nice: 5, oomScoreAdj: 500, threads: 4, gpuLayers: 0}
    compat: {ignoreWebsockets: true}
    capabilities: {in: [text, image], out: [text], tools: true, reranker: true, context: 4096}
    metadata: {k: [1, two, {three: 3.5}], port: "${PORT}"}
  "b: #1": {cmd: "server ${PORT}"}
  org/c: {cmd: server, proxy: "http://${host}:1"}
  nothing: {proxy: "http://h"}
  without: {}
groups:
  g: {swap: false, exclusive: false, persistent: true, members: [a, "b: #1"]}
routing:
  scheduler: {use: fifo, settings: {fifo: {priority: {a: 3, org/c: -1}}}}
profiles:
  p: {description: d, pins: {x: a, "y": ""}}
selectors:
  s:
    {strategy: spillover, targets: [a, "b: #1"], settings: {spillover: 2}, name: N,
     description: D, unlisted: true, metadata: {k: 1}}
peers:
  far:
    proxy: http://${host}:8080
    models: [m, x/y]
    filters: {stripParams: z, setParams: {a: true}, setParamsByID: {m: {b: 2}}}
    timeouts: {connect: 1}
)yaml";

constexpr std::string_view with_matrix = R"yaml(
models: {a: {cmd: "s ${PORT}"}, b: {cmd: "s ${PORT}"}, org/c: {cmd: "s ${PORT}"}}
matrix:
  vars: {x: org/c}
  evict_costs: {a: 5, x: 3}
  sets: {z: "a & b", "y": "(a | +z) & x"}
)yaml";

Config loaded(std::string_view yaml, const test::Variables& variables = {}) {
    auto load = test::load(yaml, variables);
    CAPTURE(test::all_of(load));
    REQUIRE(load.config);
    load.config->origin.clear();
    return std::move(*load.config);
}

void check_loads_again(const Config& config) {
    const std::string yaml = dump_config_yaml(config);
    CAPTURE(yaml);
    const Config again = loaded(yaml);
    CHECK(dump_config_json(again) == dump_config_json(config));
    CHECK(again == config);
    const Config from_json = loaded(dump_config_json(config));  // JSON is YAML, too
    CHECK(from_json == config);
}

}  // namespace

TEST_CASE("a dump loads again to an equal config") {
    // Guards: what is shown is what is meant, whole, and may be used in the file's place.
    check_loads_again(loaded(""));
    check_loads_again(loaded(everything));
    check_loads_again(loaded(with_matrix));
}

TEST_CASE("texts of every kind survive a dump") {
    // Guards: quoting. A text that the dump spells wrong would start another command.
    const std::string_view hostile[] = {
        "yes",        "~",      "1.0",         "a: b",     "a #b",
        "- a",        "'a'",    "\"a\"",       "a\\b",     "*a",
        "a\tb",       "{a}",    "a\nb",        "a\n\nb\n", " a\n b ",
        "caf\u00e9",  "\u2028", "${env.HOME}", "# a",      "a\n# b\nc",
        "\U0001F600", "%a",     "2001-01-01",  "0o14",     "",
    };
    Config config = loaded("models: {m: {cmd: 'server ${PORT}'}}");
    ModelConfig& model = config.models.at(0);
    for (const auto text : hostile) {
        CAPTURE(text);
        model.description = text;
        model.name = text;
        model.env = {"A=" + std::string(text)};
        check_loads_again(config);
    }
}

TEST_CASE("a dump shows every key that a file may have") {
    // Guards: a new key reaches the dump, or is named here as one that is part of the others.
    const std::set<std::string_view> inside_others{
        "macros",           "globalTTL",        "healthCheckTimeout", "unloadTimeout",
        "sendLoadingState", "loadingKeepAlive", "logRequests",        "groups",
        "matrix",           "strip_params"};
    const auto both = [](const Json& first, const Json& second, const std::string& key) -> Json {
        return first.contains(key) ? first.at(key) : second.value(key, Json());
    };
    const Json dump = Json::parse(dump_config_json(loaded(everything)));
    Config other;
    other.matrix.sets = {{"s", "x", 0}};
    other.matrix.vars = {{"x", ModelId("m")}};
    other.matrix.evict_costs = {{ModelId("m"), 2}};
    const Json matrix = Json::parse(dump_config_json(other));
    const auto check = [&](const auto& self, std::span<const load::Key> keys, const Json& first,
                           const Json& second, const std::string& path) -> void {
        for (const load::Key& key : keys) {
            const std::string name(key.name);
            if ((path.empty() && inside_others.contains(name)) || name == "strip_params" ||
                (path.starts_with("models.") && name == "macros")) {
                continue;
            }
            CAPTURE(path);
            CHECK_MESSAGE((first.contains(name) || second.contains(name)), name);
            const Json a = both(first, Json::object(), name);
            const Json b = both(second, Json::object(), name);
            if (key.shape == load::Shape::mapping) {
                self(self, key.members(), a, b, path + name + ".");
            } else if (key.shape == load::Shape::named) {
                self(self, key.members(), a.empty() ? Json() : Json(*a.begin()),
                     b.empty() ? Json() : Json(*b.begin()), path + name + ".");
            }
        }
    };
    check(check, load::top_level_keys(), dump, matrix, "");
}

TEST_CASE("secrets are not in a dump") {
    // Guards: a dump is what people paste into a bug report.
    const Config config = loaded(R"yaml(
apiKeys: [canary-1, "${env.K}"]
models:
  m:
    cmd: server --port ${PORT} --api-key canary-2 --hf-token 'canary 3'
    cmdStop: stop --token canary-4 ${PID}
    env: [HF_TOKEN=canary-5, openai_api_key=canary-6, A=shown]
peers:
  p: {proxy: "http://user:canary-7@far", apiKey: canary-8, models: [x]}
)yaml",
                                 {{"K", "canary-0"}});
    for (const std::string& dump : {dump_config_json(config), dump_config_yaml(config)}) {
        CAPTURE(dump);
        CHECK(dump.find("canary") == std::string::npos);
        CHECK(dump.find("A=shown") != std::string::npos);
        CHECK(dump.find("--api-key ***") != std::string::npos);
    }
    const auto again = test::load(dump_config_yaml(config));
    CAPTURE(test::all_of(again));
    CHECK(again.config);
}
