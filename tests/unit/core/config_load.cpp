// core/config_load: what llama-swap accepts and refuses, row by row, and what Corral says to it.
#include "core/config_load.hpp"

#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;
using namespace corral::test;

namespace {

// Appendix B, "rejected", and the errors of the contract's section 2.
const Row refused[] = {
    {"models: {m: {cmd: a}, m: {cmd: b}}", "mapping key \"m\" already defined at line 1", 1},
    {"models:\n  m:\n", "cannot unmarshal !!str `` into config.modelMacroConfig", 2},
    {"models: {m: [a]}", "cannot unmarshal !!seq into config.modelMacroConfig"},
    {model_with("") + "groups: {g: {members: [zz]}}", "no model config for \"zz\"", 5},
    {model_with("aliases: [a, a]"), "duplicate alias a found in model: m", 4},
    {"models: {a: {cmd: 'x ${PORT}', aliases: [z]}, b: {cmd: 'x ${PORT}', aliases: [z]}}",
     "duplicate alias z found in model: b"},
    {"logToStdout: banana", "logToStdout must be one of: proxy, upstream, both, none", 1},
    {"healthCheckTimeout: abc", "cannot unmarshal !!str `abc` into int", 1},
    {"startPort: 0", "startPort must be greater than 1"},
    {"startPort: -1", "startPort must be greater than 1"},
    {"performance: {every: 1s}", "performance: every must be at least 5s, got 1s"},
    {"performance: {every: 10}", "cannot unmarshal !!int `10` into time.Duration"},
    {"upstream: {ignorePaths: ['(']}",
     "upstream.ignorePaths: invalid regular expression \"(\": missing closing )"},
    {model_with("proxy: '::bad'"), "model m: invalid proxy URL: missing protocol scheme", 4},
    {model_with("proxy: 'http://h:port'"), "invalid port \":port\" after host"},
    {model_with("proxy: 'http://[::1'"), "missing ']' in host"},
    {model_with("proxy: \"http://a\\nb\""), "invalid control character in URL"},
    {model_with("proxy: 'unix:///" + std::string(107, 'x') + "'"), "has at most 107 bytes", 4},
    {model_with("proxy: 'unix://run/m.sock'"), "a Unix socket needs an absolute path", 4},
    {"peers: {p: {models: [a], proxy: 'unix:///" + std::string(107, 'x') + "'}}",
     "peers.p.proxy: invalid proxy URL"},
    {"peers: {p: {models: [a]}}", "peers.p: proxy is required"},
    {"peers: {p: {proxy: 'http://x'}}", "peer models can not be empty"},
    {"apiKeys: ['${env.UNSET}']", "environment variable 'UNSET' is not set"},
    {model_with("name: ${nope}"), "unknown macro '${nope}' found in m.name", 4},
    {"macros: {a: '${b}', b: x}\n" + model_with("name: ${a}"),
     "unknown macro '${b}' found in m.name"},
    {"macros: {a: '${a}'}", "macro 'a' contains self-reference"},
    {"macros: {'a b': x}", "macro name 'a b' contains invalid characters"},
    {"macros: {" + std::string(64, 'a') + ": x}", "exceeds maximum length of 63 characters"},
    {"macros: {PORT: x}", "macro name 'PORT' is reserved"},
    {"macros: {a: [1]}", "macro 'a' has invalid type"},
    {"macros: {a: }", "macro 'a' has invalid type"},
    {"macros: [a]", "macros must be a mapping"},
    {model_with("macros: {PID: x}"), "model m: macro name 'PID' is reserved"},
    {"models: {m: {cmd: 'x ${PID} ${PORT}'}}", "unknown macro '${PID}' found in m.cmd"},
    {"models: {m: {cmd: x}}",
     "model m: proxy uses ${PORT} but cmd does not - ${PORT} is only available when used in "
     "cmd"},
    {"models: {m: {cmd: x, proxy: 'http://h:${PORT}'}}", "proxy uses ${PORT} but cmd does not"},
    {"models: {m: {cmd: x, proxy: 'http://h', name: '${PORT}'}}",
     "unknown macro '${PORT}' found in m.name"},
    {"profiles: {p: [a, b]}", "profile must be a mapping with description and pins"},
    {"profiles: {p: {pins: {}}}", "profiles.p.pins must contain at least one entry"},
    {model_with("ttl: -2"), "model m: invalid TTL value -2", 4},
    {model_with("unloadTimeout: -1"), "model m: invalid unloadTimeout value -1"},
    {"globalTTL: -1", "globalTTL must be >= 0"},
    {"unloadTimeout: -1", "unloadTimeout must be >= 0"},
    {model_with("capabilities: {in: [video]}"),
     "capabilities.in: invalid modality \"video\", must be one of: text, audio, image"},
    {model_with("capabilities: {context: -1}"), "capabilities.context: must be >= 0"},
    {"models:\n\tm: {}\n", "a tab in the indentation"},
    {"- a\n- b\n", "cannot unmarshal !!seq into config.Config"},
    {"just text", "cannot unmarshal !!str into config.Config"},
    {"routing: {scheduler: {use: lifo}}", "unknown scheduler \"lifo\" (valid: fifo)"},
    {"routing: {scheduler: {settings: {fifo: {priority: {zz: 1}}}}}",
     "priority references unknown model \"zz\""},
    {"routing: {router: {use: matrix}}", "routing.router.settings.matrix is not set"},
    {"routing: {router: {use: fast}}", "unknown router \"fast\" (valid: group, matrix)"},
    {"groups: {g: {}}\nrouting: {router: {use: group}}",
     "config uses both the legacy top-level 'matrix'/'groups' keys"},
    {"groups: {g: {}}\nmatrix: {sets: {a: b}}", "cannot use both 'groups' and 'matrix'"},
    {"apiKeys: ['a b']", "apiKeys[0]: api key cannot contain spaces"},
    {"apiKeys: [a, '']", "empty api key found in apiKeys"},
    {"apiKeys: ['${env.EMPTY}']", "empty api key found in apiKeys"},
    {"apiKeys: [~]", "empty api key found in apiKeys"},
    {"apiKeys: key", "apiKeys: cannot unmarshal !!str `key` into []string"},
    {"store: {path: ''}", "store.path must not be empty"},
    {"selectors: {s: {targets: [a]}}", "selectors.s.strategy is required"},
    {"selectors: {s: {strategy: best, targets: [a]}}", "unknown strategy \"best\""},
    {"selectors: {s: {strategy: warm}}", "targets must contain at least one entry"},
    {model_with("") + "selectors: {m: {strategy: warm, targets: [m]}}",
     "selectors.m: name conflicts with model ID \"m\""},
    {model_with("") + "groups: {g: {members: [m, m]}}",
     "duplicate model member m found in group: g"},
    {model_with("") + "groups: {g: {members: [m]}, h: {members: [m]}}",
     "model member m is used in multiple groups: g and h"},
    {model_with("unlisted: maybe"), "model m unlisted: cannot unmarshal !!str `maybe` into bool"},
    {model_with("unlisted: \"true\""), "cannot unmarshal !!str `true` into bool"},
    {model_with("ttl: abc"), "model m ttl: cannot unmarshal !!str `abc` into int"},
    {model_with("ttl: \"300\""), "cannot unmarshal !!str `300` into int"},
    {model_with("ttl: 1e400"), "cannot unmarshal !!str `1e400` into int"},
    {model_with("ttl: .nan"), "cannot unmarshal !!float `.nan` into int"},
    {model_with("ttl: 99999999999999999999"), "cannot unmarshal !!float `9999999...` into int"},
    {model_with("ttl: [1]"), "cannot unmarshal !!seq into int"},
    {model_with("name: [a]"), "model m name: cannot unmarshal !!seq into string"},
    {model_with("aliases: a"), "cannot unmarshal !!str `a` into []string"},
    {model_with("env: {A: b}"), "cannot unmarshal !!map into []string"},
    {model_with("env: ['A=${HOME}']"), "model m env[0]: unknown macro '${HOME}'"},
    {model_with("metadata: {a: [{b: '${x}'}]}"), "model m metadata: unknown macro '${x}'"},
    {model_with("filters: 1"), "model m filters: cannot unmarshal !!int `1` into a mapping"},
    {"models: [a]", "models: cannot unmarshal !!seq into a mapping"},
    {"groups: 1", "groups: cannot unmarshal !!int `1` into a mapping"},
    {"hooks: {on_startup: {preload: m}}", "cannot unmarshal !!str `m` into []string"},
    {"hooks: {on_startup: {preload: ['${x}']}}",
     "hooks.on_startup.preload[0]: unknown macro '${x}'"},
};

// Appendix B, "accepted silently".
const Row taken[] = {
    {"modles: {}", "did you mean \"models\"?", 1},
    {"cmd: x", "it belongs to a model, below models.<name>", 1},
    {"zzzzzz: 1", "unknown key \"zzzzzz\"", 1},
    {model_with("alises: [a]"), "did you mean \"aliases\"?", 4},
    {model_with("startPort: 1"), "it belongs to the top level"},
    {model_with("connect: 5"), "it belongs below models.<name>.timeouts"},
    {"spillover: 1", "it belongs below selectors.<name>.settings"},
    {"members: [m]", "it belongs below groups.<name>"},
    {"queueTimeout: 5", "it belongs below limits"},
    {model_with("") + "groups: {g: {member: [m]}}", "did you mean \"members\"?"},
    {"models: {m: {name: x}}", "model m has no cmd"},
    {"models: {m: {cmd: '', proxy: 'http://h'}}", "model m cmd is empty"},
    {"models: {m: {cmd: '# x', proxy: 'http://h'}}", "model m cmd is empty"},
    {"models: {m: {cmd: \"'x ${PORT}\"}}", "unterminated single quote"},
    {"models: {m: {cmd: \"x\\0 ${PORT}\"}}", "a word holds a NUL byte"},
    {model_with("aliases: [m]"), "is also the name of a model", 4},
    {model_with("aliases: ['']"), "an empty alias is ignored"},
    {model_with("aliases: [a]") + "groups: {g: {members: [a]}}",
     "member a is an alias of m, which is used"},
    {model_with("aliases: [a]") + "groups: {g: {members: [m]}, h: {members: [a]}}",
     "which is already in group g"},
    {model_with("") + "groups: {'(default)': {swap: false}}", "what is written here is ignored"},
    {"healthCheckTimeout: 1", "healthCheckTimeout 1 is raised to 15"},
    {"healthCheckTimeout: 0", "healthCheckTimeout 0 is raised to 15"},
    {model_with("healthCheckTimeout: 0"), "the global one is used"},
    {"logLevel: banana", "unknown logLevel \"banana\"", 1},
    {model_with("") + "hooks: {on_startup: {preload: [mm]}}", "did you mean \"m\"?"},
    {"models: {'': {cmd: x}}", "a model without a name cannot be asked for"},
    {"models: {~: {cmd: x}}", "a model without a name cannot be asked for"},
    {"models: {\"a\\nb\": {cmd: 'x ${PORT}'}}", "holds control characters"},
    {"startPort: 70000", "startPort 70000 is not a port"},
    {model_with("concurrencyLimit: -1"), "is negative"},
    {model_with("ttl: 1.5"), "only the whole number 1 of 1.5 is used"},
    {model_with("ttl: 9000000000000000000"), "longer than 100 years"},
    {model_with("proxy: 'file:///etc/passwd'"), "the scheme is not http"},
    {model_with("proxy: 'gopher://h'"), "the scheme is not http"},
    {model_with("proxy: 'http://u:p@h'"), "user names and passwords"},
    {model_with("proxy: 'localhost:8080'"), "the scheme is not http"},
    {model_with("checkEndpoint: '/a b'"), "holds a character that a URL cannot hold"},
    {model_with("env: [A]"), "env[0] is not NAME=value"},
    {"a: 1\n---\nb: 1\n", "only the first document"},
};

}  // namespace

TEST_CASE("files that llama-swap refuses are refused in its words") {
    // Guards Appendix B, "rejected", and the errors of the contract's section 2.
    for (const auto& row : refused) {
        check_refused(row, {{"EMPTY", ""}});
    }
}

TEST_CASE("files that llama-swap takes in silence are served, with a warning") {
    // Guards Appendix B, "accepted silently": serve never refuses a file that works there.
    for (const auto& row : taken) {
        check_warned(row);
    }
}

TEST_CASE("files that are right say nothing") {
    // Guards: a warning that means nothing would teach people to overlook the others.
    const std::string rows[] = {
        "",
        "# nothing\n",
        "models:\n",
        "models: {}\ngroups:\nhooks:\nlimits:\nrouting:\napiKeys:\nmacros:\n",
        "x-blocks: &x {ttl: 5}\n.y: 1\n_z: 2\nmodels: {m: {<<: *x, cmd: 'a ${PORT}'}}",
        "logRequests: true\n"
        "routing: {router: {use: group}, scheduler: {use: fifo}}",
        model_with("filters: {stripParams: ''}\n    metadata: {}\n    timeouts: {connect: 30}"),
        model_with("cmdStop: kill ${PID}\n    checkEndpoint: none\n    unlisted: yes"),
        "models: {m: {cmd: \"x ${PORT}\", proxy: 'unix:///run/m.sock'}}",
        model_with("proxy: 'https://h/base'"),
        "upstream: {ignorePaths: []}",
    };
    for (const auto& yaml : rows) {
        CAPTURE(yaml);
        const auto loaded = load(yaml);
        CAPTURE(all_of(loaded));
        CHECK(loaded.diagnostics.empty());
        CHECK(loaded.config);
    }
}

TEST_CASE("a key without effect yet is said to be one, which is no mistake") {
    // Guards: a strict check passes a good file of llama-swap.
    const auto loaded = load("captureBuffer: 10\nperformance: {every: 5s}\nstore:\n");
    CAPTURE(all_of(loaded));
    REQUIRE(loaded.diagnostics.size() == 2);
    CHECK(loaded.diagnostics[0].severity == Severity::note);
    CHECK(loaded.diagnostics[0].message == "captureBuffer has no effect in this version of Corral");
    CHECK(loaded.diagnostics[1].severity == Severity::note);
    CHECK(loaded.config);
}

TEST_CASE("all mistakes are reported at once, in the order of the file") {
    // Guards: nobody has to run the check five times.
    const auto loaded = load(
        "startPort: 0\nmodles: 1\nglobalTTL: -1\nmodels:\n  a:\n  b: {cmd: '${x}', ttl: -5}\n"
        "apiKeys: ['']\n");
    CAPTURE(all_of(loaded));
    REQUIRE(loaded.diagnostics.size() == 7);
    for (std::size_t i = 1; i < loaded.diagnostics.size(); ++i) {
        CHECK(loaded.diagnostics[i - 1].line <= loaded.diagnostics[i].line);
    }
}

TEST_CASE("secrets never reach a diagnostic") {
    // Guards: diagnostics end up in journals; keys and environment values do not.
    const auto loaded = load(
        "apiKeys:\n  - 'sk canary1'\n  - sk-canary2: x\nttl: ${env.S}\nglobalTTL: ${env.S}\n"
        "models:\n  m:\n    cmd: a ${PORT}\n    env:\n      - HF_TOKEN canary4\n      - canary5\n",
        {{"S", "canary3"}});
    REQUIRE(!loaded.diagnostics.empty());
    CHECK(all_of(loaded).find("canary") == std::string::npos);
}

TEST_CASE("texts cannot be multiplied without bound") {
    // Guards: aliases and macros of a long text, as many as one likes, do not fill the memory.
    const std::string text(1'000'000, 'x');
    std::string aliases = "x: &x {cmd: '${PORT}', description: " + text + "}\nmodels:\n";
    std::string macros = "macros: {a: " + text + "}\nmodels:\n";
    for (int i = 0; i < 200; ++i) {
        const std::string name = "  m" + std::to_string(i);
        aliases += name + ": *x\n";
        macros += name + ": {cmd: '${PORT}', description: '${a}'}\n";
    }
    CHECK(error_with(load(aliases), "too large") != nullptr);
    CHECK(error_with(load(macros), "too large") != nullptr);
}

TEST_CASE("the number of diagnostics is bounded") {
    // Guards: a file of mistakes cannot fill the memory or the journal.
    std::string yaml;
    for (int i = 0; i < 20'000; ++i) {
        yaml += "k" + std::to_string(i) + ": 1\n";
    }
    const auto loaded = load(yaml);
    CHECK(loaded.diagnostics.size() == 1001);
    CHECK(loaded.diagnostics.back().message == "and 19000 more mistakes");
}
