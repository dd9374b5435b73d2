// core/config_load: names that stand for models (peers, selectors, profiles), priorities, and
// models that would listen at the same place.
#include "tests/unit/core/load_support.hpp"

#include <string>
#include <vector>

using namespace corral;
using namespace corral::test;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

namespace {

const std::string models =
    "models:\n  a: {cmd: '${PORT}', aliases: [alias-a], filters: {setParamsByID: {variant: }}}\n"
    "  b: {cmd: '${PORT}'}\n  c: {cmd: '${PORT}'}\n";
const std::string peers =
    "peers: {p: {proxy: 'http://h', models: [x, org/y]}, "
    "q: {proxy: 'http://i', models: [x]}}\n";
const std::string together = "groups: {g: {swap: false, members: [alias-a, b]}}\n";

std::string selector(const std::string& keys) {
    return models + peers + "selectors:\n  s: {" + keys + "}\n";
}

}  // namespace

TEST_CASE("peers are read whole") {
    // Guards: every key, the longer default time-out, macros, and names that are no aliases.
    const auto config = good(
        "macros: {k: sk-1, t: 0.5}\npeers:\n  far:\n    proxy: http://far:8080/base\n"
        "    apiKey: Bearer-${k}\n    models: [x, org/y]\n    filters:\n      stripParams: b, a\n"
        "      setParams: {t: '${t}'}\n      setParamsByID: {'far/x': {u: 1}}\n"
        "    timeouts: {connect: 3}\n  empty: {proxy: 'https://e', models: ['']}\n");
    REQUIRE(config.peers.size() == 2);
    CHECK(config.peers[0].id == "empty");
    CHECK(config.peers[0].timeouts.response_header == 60s);
    PeerConfig want;
    want.id = "far";
    want.proxy = "http://far:8080/base";
    want.api_key = "Bearer-sk-1";
    want.models = {"x", "org/y"};
    want.filters.strip_params = {"a", "b"};
    want.filters.set_params = {{"t", "0.5"}};
    want.filters.set_params_by_id = {{"far/x", {{"u", "1"}}}};
    want.timeouts = {3s, 30s, 60s, 10s, 1s, 90s};
    CHECK(config.peers[1] == want);
    CHECK(config.find("far/x") == nullptr);
    CHECK(config.find_peer_model("org/y").peer == &config.peers[1]);
}

TEST_CASE("a peer's mistakes are refused in llama-swap's words") {
    // Guards the errors of the contract's 2.9, wherever in the file the other name stands.
    const std::string ambiguous =
        "peers: {a: {proxy: 'http://h', models: [b/c]}, a/b: {proxy: 'http://h', models: [c]}}";
    const Row rows[] = {
        {"peers: {p: {models: [x]}}", "peers.p: proxy is required"},
        {"peers: {p: }", "peers.p: proxy is required"},
        {"peers: {p: {proxy: 'http://h', models: []}}", "peers.p: peer models can not be empty"},
        {"peers: {p: {proxy: '::bad', models: [x]}}",
         "peers.p: invalid peer proxy URL (::bad): missing protocol scheme"},
        {"peers: {p: {proxy: '${x}', models: [x]}}", "peers.p.proxy: unknown macro '${x}'"},
        {"peers: {p: {proxy: 'http://h', models: [x], apiKey: '${x}'}}",
         "peers.p.apiKey: unknown macro '${x}'"},
        {"peers: {p: {proxy: 'http://h', models: [x], filters: {setParams: {a: ['${x}']}}}}",
         "peers.p.filters.setParams.a: unknown macro '${x}'"},
        {"peers: {p: [x]}", "peers.p: cannot unmarshal !!seq into a mapping"},
        {ambiguous,
         "peer model name \"a/b/c\" is ambiguous between peers.a model \"b/c\" and peers.a/b model "
         "\"c\""},
        {peers + "models: {p/x: {cmd: '${PORT}'}}",
         "model ID \"p/x\" conflicts with fully qualified peer model name"},
        {peers + model_with("aliases: [p/org/y]"),
         "model m alias \"p/org/y\" conflicts with fully qualified peer model name"},
        {peers + model_with("filters: {setParamsByID: {q/x: }}"),
         "model m alias \"q/x\" conflicts with fully qualified peer model name"},
        {"selectors: {p/x: {strategy: pin, targets: [p/x]}}\n" + peers,
         "selector ID \"p/x\" conflicts with fully qualified peer model name"},
        {"profiles: {d: {pins: {p/x: p/x}}}\n" + peers,
         "profile d pin \"p/x\" conflicts with fully qualified peer model name"},
    };
    for (const auto& row : rows) {
        check_refused(row);
    }
    check_warned({"peers: {p: {proxy: 'ftp://h', models: [x]}}", "peers.p.proxy: "});
    check_warned({"peers: {p: {proxy: 'http://h', models: [x, x]}}", "peers.p.models: x again"});
    check_warned({"peers: {p: {proxy: 'http://h', models: [x], apikey: k}}", "\"apiKey\"?"});
}

TEST_CASE("a peer's key never reaches a diagnostic") {
    // Guards: neither its line nor its value is quoted, whatever else is wrong there.
    const auto loaded = load(
        "peers:\n  p:\n    apiKey: &k sk-canary1\n    proxy: ''\n  q: {apiKey:\n      sk-canary2,\n"
        "    bad: 1}\n  r:\n    apiKey: [sk-canary3]\n  s:\n    apiKey: ${env.K}\n"
        "    proxy: http://u:${env.K}@h:x\n    models: [a]\n",
        {{"K", "canary4"}});
    CAPTURE(all_of(loaded));
    CHECK(loaded.diagnostics.size() >= 6);
    CHECK(all_of(loaded).find("canary") == std::string::npos);
}

TEST_CASE("selectors are read whole, with targets as written") {
    // Guards: every key, order of targets, and aliases: a request goes by the one that is written,
    // as setParamsByID may have parameters for it.
    const auto config = good(
        "selectors:\n  z: {strategy: pin, targets: [org/y, alias-a, q/x]}\n"
        "  s: {strategy: spillover, targets: [variant, b, q/x], settings: {spillover: 4}, "
        "name: N, description: D, unlisted: yes, metadata: {k: [1.0]}}\n  x: {strategy: warm, "
        "targets: [b, a]}\n" +
        together + peers + models);
    REQUIRE(config.selectors.size() == 3);
    SelectorConfig want;
    want.id = "s";
    want.strategy = SelectorStrategy::spillover;
    want.targets = {"variant", "b", "q/x"};
    want.spillover = 4;
    want.name = "N";
    want.description = "D";
    want.unlisted = true;
    want.metadata = R"({"k":[1]})";
    CHECK(config.selectors[0] == want);
    CHECK(config.selectors[1].strategy == SelectorStrategy::warm);
    CHECK(config.selectors[1].targets == Words{"b", "a"});
    CHECK(config.selectors[1].spillover == 1);
    CHECK(config.selectors[2].targets == Words{"org/y", "alias-a", "q/x"});
}

TEST_CASE("a selector's mistakes are refused in llama-swap's words") {
    // Guards the errors of the contract's 2.8.
    const Row rows[] = {
        {"selectors: {'': {strategy: pin, targets: [a]}}\n" + models,
         "selectors: selector names cannot be empty"},
        {"selectors: {' ': {strategy: pin, targets: [a]}}\n" + models,
         "selectors: selector names cannot be empty"},
        {"selectors: {a: {strategy: pin, targets: [b]}}\n" + models,
         "selectors.a: name conflicts with model ID \"a\""},
        {"selectors: {alias-a: {strategy: pin, targets: [b]}}\n" + models,
         "selectors.alias-a: name conflicts with model alias \"alias-a\""},
        {"selectors: {variant: {strategy: pin, targets: [b]}}\n" + models,
         "selectors.variant: name conflicts with model alias \"variant\""},
        {selector("targets: [a]"), "selectors.s.strategy is required"},
        {selector("strategy: , targets: [a]"), "selectors.s.strategy is required"},
        {selector("strategy: balance, targets: [a]"),
         "selectors.s.strategy: unknown strategy \"balance\" (valid: warm, pin, spillover)"},
        {selector("strategy: warm"), "selectors.s.targets must contain at least one entry"},
        {selector("strategy: warm, targets: []"),
         "selectors.s.targets must contain at least one entry"},
        {selector("strategy: pin, targets: [a, s]"),
         "selectors.s.targets[1] references selector \"s\"; selector chaining is not supported"},
        {selector("strategy: pin, targets: [alias-b]"),
         "selectors.s.targets[0] references unknown model \"alias-b\""},
        {selector("strategy: pin, targets: [x]"),
         "several peers have a model of this name: write peer/model"},
        {selector("strategy: warm, targets: [a, p/x]"),
         "selectors.s.targets[1] must resolve to a local model for strategy \"warm\""},
        {selector("strategy: spillover, targets: [a], settings: {spillover: 0}"),
         "selectors.s.settings.spillover must be >= 1"},
        {selector("strategy: spillover, targets: [a, alias-a]"),
         "selectors.s.targets contains duplicate resolved model \"a\""},
        {selector("strategy: spillover, targets: [org/y, p/org/y]"),
         "selectors.s.targets contains duplicate resolved model \"p/org/y\""},
        {selector("strategy: spillover, targets: [a, b]"),
         "selectors.s spillover targets must share a group with swap: false"},
        {together + selector("strategy: spillover, targets: [c, a]"),
         "selectors.s spillover targets must share a group with swap: false"},
        {together + selector("strategy: spillover, targets: [a, c]"),
         "selectors.s spillover targets must share one routing group"},
        {"selectors: {s: [a]}", "selectors.s: cannot unmarshal !!seq into a mapping"},
        {selector("strategy: pin, targets: [a], metadata: 1"),
         "selectors.s.metadata: cannot unmarshal !!int `1` into map[string]interface {}"},
        {selector("strategy: pin, targets: [a], name: '${n}'"),
         "selectors.s.name: unknown macro '${n}'"},
    };
    for (const auto& row : rows) {
        check_refused(row);
    }
    check_warned({selector("strategy: pin, targets: [a], stratgy: x"), "in selectors.s"});
    check_warned({selector("strategy: pin, targets: [a], settings: {spillover: 0}"),
                  "it has no effect here"});
}

TEST_CASE("targets of a spillover need not be here, and one of them alone may swap") {
    // Guards: what llama-swap accepts is accepted.
    CHECK(load(selector("strategy: spillover, targets: [p/x, q/x, a]")).config);
    CHECK(load(selector("strategy: spillover, targets: [a]")).config);
    CHECK(load(selector("strategy: pin, targets: [a, a]")).config);
}

TEST_CASE("profiles are read whole") {
    // Guards: what a pin may lead to, null and empty for nobody, pins of names that do not exist.
    const auto config = good(
        "profiles:\n  p2: {pins: {a: b}}\n  p1:\n    description: D\n    pins: {gpt: alias-a, a: "
        "~, "
        "b: '', c: s, d: p/x, e: org/y, f: variant}\n" +
        selector("strategy: pin, targets: [a]"));
    const std::vector<ProfileConfig> want{{"p1",
                                           "D",
                                           {{"a", ""},
                                            {"b", ""},
                                            {"c", "s"},
                                            {"d", "p/x"},
                                            {"e", "org/y"},
                                            {"f", "variant"},
                                            {"gpt", "alias-a"}}},
                                          {"p2", "", {{"a", "b"}}}};
    CHECK(config.profiles == want);
}

TEST_CASE("a profile's mistakes are refused in llama-swap's words") {
    // Guards the errors of the contract's 2.7.
    const Row rows[] = {
        {"profiles: {p: [a]}",
         "profile must be a mapping with description and pins; the legacy list syntax is no longer "
         "supported"},
        {"profiles: {'': {pins: {a: ~}}}", "profiles: profile names cannot be empty"},
        {"profiles: {p: }", "profiles.p.pins must contain at least one entry"},
        {"profiles: {p: {pins: }}", "profiles.p.pins must contain at least one entry"},
        {"profiles: {p: {pins: {'': ~}}}", "profiles.p.pins: pin names cannot be empty"},
        {"profiles: {p: {pins: [a]}}", "profiles.p.pins: cannot unmarshal !!seq"},
        {models + "profiles: {p: {pins: {k: alias-b}}}",
         "profiles.p.pins.k references unknown model \"alias-b\""},
        {peers + "profiles: {p: {pins: {k: x}}}",
         "profiles.p.pins.k references unknown model \"x\""},
        {"profiles: {p: {pins: {k: '${x}'}}}", "profiles.p.pins.k: unknown macro '${x}'"},
    };
    for (const auto& row : rows) {
        check_refused(row);
    }
}

TEST_CASE("a priority belongs to a model, also when an alias names it") {
    // Guards: the rank in the model, ids before aliases, macros, the peer's errors.
    const std::string before =
        "macros: {high: 9}\nrouting: {scheduler: {use: fifo, settings: {fifo: "
        "{priority: ";
    const auto loaded = load(before + "{alias-a: 5, b: -2, c: '${high}'}}}}}\n" + models);
    CAPTURE(all_of(loaded));
    REQUIRE(loaded.config);
    CHECK(model(*loaded.config, "a").priority == 5);
    CHECK(model(*loaded.config, "b").priority == -2);
    CHECK(model(*loaded.config, "c").priority == 9);
    CHECK(warning_with(loaded, "alias-a is an alias of a, which is used") != nullptr);
    CHECK(loaded.diagnostics.size() == 1);

    const auto both = load(before + "{alias-a: 5, a: 1, b: }}}}}\n" + models);
    REQUIRE(both.config);
    CHECK(model(*both.config, "a").priority == 1);
    CHECK(model(*both.config, "b").priority == 0);
    CHECK(warning_with(both, "which has a priority: it is ignored") != nullptr);
    check_refused({before + "{aa: 1}}}}}\n" + models,
                   "routing.scheduler.settings.fifo.priority references unknown model \"aa\""});
    check_refused({before + "{a: high}}}}}\n" + models, "cannot unmarshal !!str `high` into int"});
    check_refused({before + "[a]}}}}\n" + models, "cannot unmarshal !!seq into map[string]int"});
}

TEST_CASE("models that would listen at the same place are named") {
    // Guards: both are named; the same address in any spelling; the same command is one server.
    const auto two = [](const std::string& a, const std::string& b) {
        return "models:\n  a: {" + a + "}\n  b: {" + b + "}\n";
    };
    const char* says = "models a and b both listen at port 9000 of this machine";
    const std::string proxy = "proxy: 'http://localhost:9000'";
    check_warned({two("cmd: x, " + proxy, "cmd: y, " + proxy), says, 3});
    check_warned({two("cmd: x, " + proxy, "cmd: y, proxy: 'http://127.0.0.1:9000/v'"), says});
    check_warned({two("cmd: x --port 9000, proxy: 'http://localhost:1'",
                      "cmd: y --port=9000, proxy: 'http://localhost:2'"),
                  says});
    check_warned(
        {two("cmd: x --port 9000, proxy: 'http://localhost:1'", "cmd: y, " + proxy), says});
    check_warned({two("cmd: x, proxy: 'unix:///s'", "cmd: y, proxy: 'unix:///s'"), "at /s"});
    const std::string fine[] = {
        two("cmd: x, " + proxy, "cmd: x, " + proxy),
        two("cmd: x, " + proxy, "cmd: y, proxy: 'http://localhost:9001'"),
        two("cmd: x, " + proxy, "cmd: y, proxy: 'http://far:9000'"),
        two("cmd: 'x --port ${PORT}'", "cmd: 'y --port ${PORT}'"),
        two("cmd: 'docker run -p ${PORT}:80 x --port 80'",
            "cmd: 'docker run -p ${PORT}:80 y --port 80'"),
        two("cmd: podman run -p 1:80 x --port 80, proxy: 'http://localhost:1'",
            "cmd: podman run -p 2:80 y --port 80, proxy: 'http://localhost:2'"),
        two("cmd: x --port nine, proxy: 'http://localhost:1'",
            "cmd: y --port nine, proxy: 'http://localhost:2'"),
    };
    for (const auto& yaml : fine) {
        CAPTURE(yaml);
        const auto loaded = load(yaml);
        CAPTURE(all_of(loaded));
        CHECK(loaded.diagnostics.empty());
        CHECK(loaded.config);
    }
}
