// core/config_load: the values that a file's keys become.
#include "core/config_load.hpp"
#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral;
using namespace corral::test;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

TEST_CASE("an empty file is the default config") {
    // Guards: the defaults of the contract's 2.1, and an empty default group.
    const auto config = good("");
    CHECK(config.log_level == LogLevel::info);
    CHECK(config.start_port == 5800);
    CHECK(!config.include_aliases_in_list);
    CHECK(config.models.empty());
    CHECK(config.limits == Limits{});
    CHECK(config.origin == "t.yaml");
    REQUIRE(config.groups.size() == 1);
    CHECK(config.groups[0].id == "(default)");
}

TEST_CASE("the config of the issue means what it says") {
    // Guards: the subset that the first delivery promises.
    const auto config = good(
        "healthCheckTimeout: 30\nlogLevel: info\nmodels:\n  \"llama3.2:1b-instruct\":\n"
        "    cmd: |\n      llama-server -m /path/to/model.gguf\n"
        "      --port ${PORT} --n-gpu-layers 99 --ctx-size 2048\n    ttl: 300\n"
        "    aliases: [gpt-3.5-turbo, llama-3.2-1b-instruct-q4_k_m]\ngroups:\n"
        "  default_group: {swap: true, exclusive: true, members: [\"llama3.2:1b-instruct\"]}\n");
    const auto& m = model(config, "llama3.2:1b-instruct");
    CHECK(m.argv == Words{"llama-server", "-m", "/path/to/model.gguf", "--port", "${PORT}",
                          "--n-gpu-layers", "99", "--ctx-size", "2048"});
    CHECK(m.ttl == 300s);
    CHECK(m.port == 5800);
    CHECK(m.proxy == "http://localhost:${PORT}");
    CHECK(m.check_endpoint == "/health");
    CHECK(m.health_check_timeout == 30s);
    CHECK(m.unload_timeout == 10s);
    CHECK(config.find("gpt-3.5-turbo") == &m);
    REQUIRE(config.groups.size() == 2);
    CHECK(config.groups[0].members == std::vector<ModelId>{m.id});
    CHECK(config.groups[1].members.empty());
}

TEST_CASE("every key of a model that works now is read") {
    // Guards: no key is checked and then forgotten.
    const auto config = good(
        "globalTTL: 60\nunloadTimeout: 7\nhealthCheckTimeout: 20\n"
        "models:\n  m:\n    cmd: a ${PORT}\n    cmdStop: kill -9 ${PID} ${PORT}\n"
        "    proxy: http://127.0.0.1:${PORT}/base\n    aliases: [x, y]\n    env: [A=b, 'C=']\n"
        "    checkEndpoint: ready\n    ttl: 5\n    unloadTimeout: 3\n    unlisted: on\n"
        "    useModelName: real\n    name: N ${PORT}\n    description: D\n"
        "    concurrencyLimit: 4\n    healthCheckTimeout: 5\n"
        "  n: {cmd: 'b ${PORT}', ttl: -1}\n  o: {cmd: 'c ${PORT}', ttl: 0}\n");
    ModelConfig want;
    want.id = ModelId("m");
    want.cmd = "a ${PORT}";
    want.argv = {"a", "${PORT}"};
    want.cmd_stop = {"kill", "-9", "${PID}", "${PORT}"};
    want.proxy = "http://127.0.0.1:${PORT}/base";
    want.port = 5800;
    want.aliases = {"x", "y"};
    want.env = {"A=b", "C="};
    want.check_endpoint = "/ready";
    want.ttl = 5s;
    want.unload_timeout = 3s;
    want.unlisted = true;
    want.use_model_name = "real";
    want.name = "N 5800";
    want.description = "D";
    want.concurrency_limit = 4;
    want.health_check_timeout = 5s;
    CHECK(model(config, "m") == want);
    CHECK(model(config, "n").ttl == 60s);
    CHECK(model(config, "n").unload_timeout == 7s);
    CHECK(model(config, "n").health_check_timeout == 20s);
    CHECK(model(config, "o").ttl == 0s);
}

TEST_CASE("every key of the top level that works now is read") {
    // Guards the same for the file itself.
    const auto config = good(
        "logLevel: ' WARN '\nstartPort: 9000\nincludeAliasesInList: true\napiKeys: [a, 12]\n"
        "models: {m: {cmd: 'a ${PORT}', aliases: [x]}}\n"
        "hooks: {on_startup: {preload: [' x ', '', nope, m]}}\n");
    CHECK(config.log_level == LogLevel::warn);
    CHECK(config.start_port == 9000);
    CHECK(config.include_aliases_in_list);
    CHECK(config.api_keys == Words{"a", "12"});
    CHECK(config.preload == Words{"m", "m"});
    CHECK(model(config, "m").port == 9000);
}

TEST_CASE("h2cUpgrade is one of two words, and refuses where it says something else") {
    // Guards: a slip leaves the door shut, and Corral starts.
    const std::string models = "models: {m: {cmd: 'a ${PORT}'}}\n";
    CHECK(good(models).h2c_upgrade == H2cUpgrade::refuse);
    CHECK(good(models + "h2cUpgrade: refuse\n").h2c_upgrade == H2cUpgrade::refuse);
    CHECK(good(models + "h2cUpgrade: ignore\n").h2c_upgrade == H2cUpgrade::ignore);
    const auto mistake = load(models + "h2cUpgrade: yes please\n");
    CHECK(warning_with(mistake, "refuse is used"));
    CHECK(mistake.config->h2c_upgrade == H2cUpgrade::refuse);
}

TEST_CASE("ports are given in the order of the ids, to models that use them") {
    // Guards: the numbers do not depend on the order of the file, and capitals come first.
    const auto config = good(
        "startPort: 65533\nmodels:\n  b: {cmd: 'x ${PORT}'}\n  a: {cmd: x, proxy: 'http://h'}\n"
        "  B: {cmd: 'x ${PORT}'}\n  é: {cmd: 'x ${PORT}'}\n  c: {cmd: 'x ${PORT}'}\n");
    CHECK(model(config, "a").port == 0);
    CHECK(model(config, "B").port == 65533);
    CHECK(model(config, "b").port == 65534);
    CHECK(model(config, "c").port == 65535);
    CHECK(model(config, "é").port == 65533);
    CHECK(config.models[0].id.str() == "B");
    CHECK(config.models[4].id.str() == "é");
}

TEST_CASE("macros, environment and merge keys work together") {
    // Guards: expansion order, types, comments, model scope.
    const auto config = good(
        "macros:\n  ctx: 2048\n  bin: ${env.BIN}\n  base: \"${bin} --ctx ${ctx}\"\n"
        "x-d: &d {ttl: '${t}', unlisted: yes}\n"
        "models:\n  org/m:\n    <<: *d\n    macros: {t: 7, ctx: 99, own: '${MODEL_ID}'}\n"
        "    cmd: |\n      # ${nothing} don't\n      ${base} \\\n        --alias ${own}\n"
        "      --port ${PORT} '${env.ODD}'\n    env: ['P=${PORT}', 'K=${env.ODD}']\n"
        "  n: {cmd: '${base} ${PORT}'}\n",
        {{"BIN", "/opt/llama server"}, {"ODD", "a\"b #c"}});
    const auto& m = model(config, "org/m");
    CHECK(m.argv == Words{"/opt/llama", "server", "--ctx", "99", "--alias", "org/m", "--port",
                          "${PORT}", "a\"b #c"});
    CHECK(m.ttl == 7s);
    CHECK(m.unlisted);
    CHECK(m.env == Words{"P=${PORT}", "K=a\"b #c"});
    CHECK(model(config, "n").argv[3] == "2048");
}

TEST_CASE("names may be anything") {
    // Guards safety.md case 117: numbers, words with a YAML meaning, slashes, emoji.
    const auto config = good(
        "models:\n  123: {cmd: 'x ${PORT}'}\n  no: {cmd: 'x ${PORT}'}\n  a/b: {cmd: 'x ${PORT}'}\n"
        "  ..: {cmd: 'x ${PORT}'}\n  🦙: {cmd: 'x ${PORT}', name: 1.0}\n  \"" +
        std::string(300, 'x') + "\": {cmd: 'x ${PORT}'}\n");
    for (const std::string id : {"123", "no", "a/b", "..", "🦙"}) {
        CHECK(config.find(id) != nullptr);
    }
    CHECK(model(config, "🦙").name == "1.0");
    CHECK(config.models.size() == 6);
}

TEST_CASE("an id wins over an alias of the same name") {
    // Guards: the peer's silent rule, which Corral only comments on.
    const auto config =
        good("models: {a: {cmd: 'x ${PORT}', aliases: [b]}, b: {cmd: 'y ${PORT}'}}");
    CHECK(config.find("b")->id.str() == "b");
}

TEST_CASE("groups come from either place and the rest is in the default group") {
    // Guards: order as written, defaults, aliases resolved, ids before aliases.
    const std::string models =
        "models: {c: {cmd: 'x ${PORT}'}, b: {cmd: 'x ${PORT}', aliases: [bb]}, "
        "a: {cmd: 'x ${PORT}'}, d: {cmd: 'x ${PORT}'}}\n";
    const std::string groups =
        "{z: {swap: no, members: [bb]}, y: {exclusive: false, persistent: true, members: [d]}}";
    for (const auto& yaml : {models + "groups: " + groups,
                             models + "routing: {router: {settings: {groups: " + groups + "}}}",
                             models + "routing: {router: {use: group, settings: {groups: " +
                                 groups + ", matrix: {sets: {}}}}}"}) {
        CAPTURE(yaml);
        const auto config = good(yaml);
        REQUIRE(config.groups.size() == 3);
        CHECK(config.groups[0] == GroupConfig{"z", false, true, false, {ModelId("b")}});
        CHECK(config.groups[1] == GroupConfig{"y", true, false, true, {ModelId("d")}});
        CHECK(config.groups[2] ==
              GroupConfig{"(default)", true, true, false, {ModelId("a"), ModelId("c")}});
    }
}

TEST_CASE("every limit can be set, as a number or with a unit") {
    // Guards: no member of Limits without a key; each value lands in its own member.
    const auto config = good(
        "limits:\n  headBytesMax: 64KiB\n  headLineBytesMax: 1024\n  headFieldsMax: 50\n"
        "  bodyBuffered: 1MiB\n  bodyBufferedTotal: 2 MiB\n  connections: 7\n  waitingPerModel: 8\n"
        "  headTimeout: 1\n  bodyIdleTimeout: 0.25\n  keepAliveTimeout: 3s\n  writeTimeout: 4s\n"
        "  queueTimeout: 1h\n  connectTimeout: 250ms\n  probeTimeout: 1m30s\n  shutdownGrace: 0\n"
        "  connectionsPerPeer: 0\n  bodyRateMin: 2kB\n  bodyRateAfter: 5s\n"
        "  responseHeaderTimeout: 6s\n");
    Limits want;
    want.head_bytes_max = 65536;
    want.head_line_bytes_max = 1024;
    want.head_fields_max = 50;
    want.body_buffered = 1U << 20;
    want.body_buffered_total = 2U << 20;
    want.connections = 7;
    want.waiting_per_model = 8;
    want.head_timeout = 1s;
    want.body_idle_timeout = 250ms;
    want.keep_alive_timeout = 3s;
    want.write_timeout = 4s;
    want.queue_timeout = 1h;
    want.connect_timeout = 250ms;
    want.probe_timeout = 90s;
    want.shutdown_grace = 0s;
    want.connections_per_peer = 0;
    want.body_rate_min = 2000;
    want.body_rate_after = 5s;
    want.response_header_timeout = 6s;
    CHECK(config.limits == want);
    CHECK(sizeof(Limits) == 21 * 8);  // a new member needs a key in read_limits.cpp and keys.cpp
}

TEST_CASE("a limit may be spelled with underscores") {
    // Guards: the names that messages and other programs use work, once.
    const auto config = good("limits: {body_buffered: 1MiB, connections: 7}\n");
    CHECK(config.limits.body_buffered == 1U << 20);
    CHECK(config.limits.connections == 7);
    const auto twice = load("limits:\n  body_buffered: 1\n  bodyBuffered: 2\n");
    CHECK(error_with(twice, "limits.body_buffered and limits.bodyBuffered are one") != nullptr);
    CHECK(warning_with(load("limits: {body_bufered: 1}"), "unknown key") != nullptr);
    CHECK(warning_with(load("start_port: 1"), "unknown key \"start_port\"") != nullptr);
}

TEST_CASE("a limit that makes no sense is an error") {
    // Guards: a slip of the pen in Corral's own block is never taken for a wish.
    for (const char* limit : {"connections: 0", "headTimeout: -1", "headTimeout: 0",
                              "bodyBuffered: 1x", "bodyBuffered: -1", "headTimeout: 5 s",
                              "headTimeout: true", "connections: [1]", "probeTimeout: 1e300",
                              "headBytesMax: 1", "connections: 99999999", "bodyBuffered: .nan"}) {
        CAPTURE(std::string(limit));
        const auto loaded = load("limits:\n  " + std::string(limit) + "\n");
        CHECK(!loaded.config);
        CHECK(error_with(loaded, "limits.") != nullptr);
    }
    CHECK(warning_with(load("limits: {conections: 1}"), "did you mean \"connections\"?") !=
          nullptr);
}
