// core/config_load: filters, metadata, capabilities and transport of models.
#include "tests/unit/core/load_support.hpp"

#include <string>
#include <vector>

using namespace corral;
using namespace corral::test;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;
using Settings = std::vector<ParamSetting>;

TEST_CASE("stripParams is a list, each name once and in order") {
    // Guards: blanks, empty parts, duplicates, the older spelling, macros.
    const auto config = good(
        "macros: {more: 'b, c'}\nmodels:\n"
        "  a: {cmd: '${PORT}', filters: {stripParams: ' top_p,temperature ,, top_p,x.y'}}\n"
        "  b: {cmd: '${PORT}', filters: {strip_params: 'z, ${more}'}}\n"
        "  c: {cmd: '${PORT}', filters: {stripParams: '', strip_params: q}}\n"
        "  d: {cmd: '${PORT}', filters: {stripParams: }}\n");
    CHECK(model(config, "a").filters.strip_params == Words{"temperature", "top_p", "x.y"});
    CHECK(model(config, "b").filters.strip_params == Words{"b", "c", "z"});
    CHECK(model(config, "c").filters.strip_params == Words{"q"});
    CHECK(model(config, "d").filters.empty());
}

TEST_CASE("setParams holds any value as JSON, in the order of the paths") {
    // Guards: types of YAML and of macros, nesting, Go's spelling.
    const auto config =
        good("macros: {half: 0.5, n: 3, flag: true, word: hi, end: '<|end|>'}\n" +
             model_with(
                 "filters:\n      setParams:\n        z: ~\n        b.c: '${half}'\n"
                 "        a\\.b: [1, 1.0, x, yes, 0x10, '${n}', 'n=${n}', [], {}]\n"
                 "        o: {y: '${flag}', x: {p: '${PORT}', q: 'at ${PORT}'}, w: '${end}'}\n"
                 "        end: '${end}'\n        id: '${MODEL_ID}-${word}'\n        l.-1: \"7\""));
    CHECK(model(config, "m").filters.set_params ==
          Settings{{"a\\.b", R"([1,1,"x","yes",16,3,"n=3",[],{}])"},
                   {"b.c", "0.5"},
                   {"end", "\"<|end|>\""},
                   {"id", "\"m-hi\""},
                   {"l.-1", "\"7\""},
                   {"o", R"({"w":"\u003c|end|\u003e","x":{"p":5800,"q":"at 5800"},"y":true})"},
                   {"z", "null"}});
}

TEST_CASE("the keys of setParamsByID are names of the model") {
    // Guards: macros in keys, one alias for each key, none for the model's own id.
    const auto config = good(
        "macros: {v: high}\nincludeAliasesInList: true\n" +
        model_with("aliases: [x]\n    filters:\n      setParamsByID:\n"
                   "        '${MODEL_ID}:${v}': {effort: '${v}', model: no}\n        m: {a: 1}\n"
                   "        x: {a: 2}\n        'p${PORT}': {}\n        none:"));
    const auto& m = model(config, "m");
    CHECK(m.aliases == Words{"x", "m:high", "p5800", "none"});
    CHECK(m.filters.set_params_by_id ==
          std::vector<ParamsOfId>{
              {"m", {{"a", "1"}}}, {"m:high", {{"effort", "\"high\""}}}, {"x", {{"a", "2"}}}});
    CHECK(config.find("none") == &m);
}

TEST_CASE("what a filter cannot do is left out, and said") {
    // Guards: `model` stays, a path that names several places never becomes another one.
    const auto loaded =
        load(model_with("filters:\n      stripParams: 'model, a.*, b'\n      setParams: {model: x, "
                        "model.y: 1, 'c|d': 1, '': 1, 'e.': 1, ok: 1, nan: .nan, deep: [.inf]}"));
    CAPTURE(all_of(loaded));
    REQUIRE(loaded.config);
    const auto& filters = model(*loaded.config, "m").filters;
    CHECK(filters.strip_params == Words{"b"});
    CHECK(filters.set_params == Settings{{"ok", "1"}});
    for (const char* text :
         {"model m filters.stripParams: `model` is protected",
          "model m filters.stripParams: the path \"a.*\" is left out: `*` does not name one place",
          "model m filters.setParams: `model` is protected", "`model.y` is protected",
          "the path \"c|d\" is left out: `|`", "the path \"\" is left out: it is empty",
          "the path \"e.\" is left out: a part of it is empty",
          "model m filters.setParams.nan: JSON has no number NaN",
          "filters.setParams.deep: JSON has no number +Inf"}) {
        CAPTURE(text);
        CHECK(warning_with(loaded, text) != nullptr);
    }
    CHECK(loaded.diagnostics.size() == 9);
}

TEST_CASE("mistakes in filters are refused in llama-swap's words") {
    // Guards the errors of the contract's 2.2 and 2.4.
    const std::string two =
        "models:\n  a: {cmd: '${PORT}', filters: {setParamsByID: {k: {x: 1}}}}\n  b: {cmd: "
        "'${PORT}'";
    const Row rows[] = {
        {two + "}\n  k: {cmd: '${PORT}'}",
         "model a filters.setParamsByID: key 'k' conflicts with an existing model ID", 2},
        {two + ", aliases: [k]}",
         "duplicate alias 'k' in model a filters.setParamsByID, already used by model b", 2},
        {two + ", filters: {setParamsByID: {k: }}}",
         "duplicate alias 'k' in model b filters.setParamsByID, already used by model a", 3},
        {model_with("macros: {a: q, b: q}\n    filters: {setParamsByID: {'${a}': {}, '${b}': {}}}"),
         "model m filters.setParamsByID: keys \"${a}\" and \"${b}\" resolve to the same value "
         "\"q\"",
         5},
        {model_with("filters: {setParamsByID: {'${x}': {}}}"),
         "unknown macro '${x}' found in model m filters.setParamsByID key", 4},
        {model_with("filters: {stripParams: '${x}'}"),
         "unknown macro '${x}' found in m.filters.stripParams"},
        {model_with("filters: {setParams: {a: {b: ['${x}']}}}"),
         "model m filters.setParams.a: unknown macro '${x}'"},
        {model_with("filters: {setParamsByID: {a: {b: '${x}'}}}"),
         "model m filters.setParamsByID.a.b: unknown macro '${x}'"},
        {model_with("filters: {setParams: [a]}"),
         "model m filters.setParams: cannot unmarshal !!seq into map[string]interface {}"},
        {model_with("filters: {setParamsByID: {a: 1}}"),
         "model m filters.setParamsByID.a: cannot unmarshal !!int `1` into map[string]interface"},
        {model_with("filters: {stripParams: [a]}"), "cannot unmarshal !!seq into string"},
    };
    for (const auto& row : rows) {
        check_refused(row);
    }
}

TEST_CASE("metadata is one JSON object with typed macros") {
    // Guards: any nesting, types kept, keys as text, `${PORT}` a number when it stands alone.
    const auto config = good(
        "macros: {ctx: 4096, rate: 1.0}\nmodels:\n  org/m:\n    cmd: '${PORT}'\n    metadata:\n"
        "      z: [{ctx: '${ctx}'}, '${ctx} tokens', '${MODEL_ID}']\n      port: ${PORT}\n"
        "      at: 'x:${PORT}'\n      1: 2\n      rate: ${rate}\n      big: 1e30\n      t: true\n"
        "      empty: {}\n  n: {cmd: '${PORT}', metadata: {}}\n  o: {cmd: '${PORT}', metadata: "
        "}\n");
    CHECK(model(config, "org/m").metadata ==
          R"({"1":2,"at":"x:5802","big":1e+30,"empty":{},"port":5802,"rate":1,"t":true,)"
          R"("z":[{"ctx":4096},"4096 tokens","org/m"]})");
    CHECK(model(config, "n").metadata.empty());
    CHECK(model(config, "o").metadata.empty());
    check_refused({model_with("metadata: [a]"),
                   "model m metadata: cannot unmarshal !!seq into map[string]interface {}"});
    check_refused({"models: {m: {cmd: x, proxy: 'http://h', metadata: {a: '${PORT}'}}}",
                   "model m metadata: unknown macro '${PORT}'"});
}

TEST_CASE("JSON cannot be multiplied without bound") {
    // Guards: many small nodes that share one long text do not fill the memory.
    std::string yaml =
        "x: &x [" + std::string(60'000, '<') + "]\n" + model_with("metadata: {a: *x");
    yaml.pop_back();
    for (int i = 0; i < 5; ++i) {
        yaml += ", b" + std::to_string(i) + ": *x";
    }
    const auto loaded = load(yaml + "}\n");
    CHECK(error_with(loaded, "model m metadata is too large") != nullptr);
}

TEST_CASE("capabilities are read and checked") {
    // Guards: every member, macros in numbers and lists, the peer's errors.
    const auto config =
        good("macros: {ctx: 8192, side: image}\n" +
             model_with(
                 "capabilities: {in: [text, '${side}'], out: [audio], tools: yes, reranker: true, "
                 "context: '${ctx}'}"));
    const Capabilities want{{"text", "image"}, {"audio"}, true, true, 8192};
    CHECK(model(config, "m").capabilities == want);
    CHECK(model(good(model_with("capabilities: {}")), "m").capabilities.empty());
    const Row rows[] = {
        {model_with("capabilities: {out: [text, video]}"),
         "model m: capabilities.out: invalid modality \"video\", must be one of: text, audio, "
         "image"},
        {model_with("capabilities: {context: -1}"), "model m: capabilities.context: must be >= 0"},
        {model_with("capabilities: {context: '${x}'}"),
         "model m capabilities: unknown macro '${x}'"},
        {model_with("capabilities: {in: ['${x}']}"), "model m capabilities: unknown macro '${x}'"},
        {model_with("capabilities: {in: text}"), "cannot unmarshal !!str `text` into []string"},
    };
    for (const auto& row : rows) {
        check_refused(row);
    }
}

TEST_CASE("timeouts and flags have the defaults of llama-swap") {
    // Guards: each member, 0 for no limit, the tri-state with its global value.
    const auto config = good(
        "sendLoadingState: true\nmodels:\n"
        "  a: {cmd: '${PORT}', timeouts: {connect: 1, keepalive: 2, responseHeader: 3, "
        "tlsHandshake: 4, expectContinue: 5, idleConn: 0}, compat: {ignoreWebsockets: on}, "
        "sendLoadingState: false}\n  b: {cmd: '${PORT}', timeouts: {}, sendLoadingState: }\n");
    CHECK(model(config, "a").timeouts == UpstreamTimeouts{1s, 2s, 3s, 4s, 5s, 0s});
    CHECK(model(config, "b").timeouts == UpstreamTimeouts{30s, 30s, 0s, 10s, 1s, 90s});
    CHECK(model(config, "a").ignore_websockets);
    CHECK(!model(config, "a").send_loading_state);
    CHECK(!model(config, "b").ignore_websockets);
    CHECK(model(config, "b").send_loading_state);
    check_warned({model_with("timeouts: {connect: -1}"), "timeouts.connect is negative"});
    check_warned({model_with("timeouts: {conect: 1}"), "did you mean \"connect\"?"});
    check_refused({model_with("timeouts: {connect: 1s}"), "cannot unmarshal !!str `1s` into int"});
}

TEST_CASE("a model's limits are read and bounded") {
    // Guards: every member with its unit; a limit that cannot hold is an error, never ignored.
    const auto config = good(
        model_with("limits: {memory: 2GiB, nice: -5, oomScoreAdj: 300, threads: 8, gpuLayers: 0}"));
    CHECK(model(config, "m").limits == ModelLimits{2ULL << 30U, -5, 300, 8U, 0U});
    CHECK(model(good(model_with("limits: {}")), "m").limits == ModelLimits());
    CHECK(model(good(model_with("limits: ")), "m").limits == ModelLimits());
    CHECK(model(good(model_with("limits: {memory: 1048576}")), "m").limits.memory == 1048576);
    check_refused({model_with("limits: {memory: 8}"), "limits.memory is out of range: 8"});
    check_refused({model_with("limits: {memory: 8 GO}"), "limits.memory"});
    check_refused({model_with("limits: {nice: 20}"), "limits.nice is out of range: 20"});
    check_refused({model_with("limits: {oomScoreAdj: -1001}"), "oomScoreAdj is out of range"});
    check_refused({model_with("limits: {threads: 0}"), "limits.threads is out of range"});
    check_warned({model_with("limits: {memry: 1GiB}"), "did you mean \"memory\"?"});
}

TEST_CASE("a command that contradicts its model's limits is warned of") {
    // Guards: threads and gpuLayers never edit cmd, so who reads the config must learn what holds.
    const auto with = [](const std::string& options, const std::string& limits) {
        return "models: {m: {cmd: 'server --port ${PORT} " + options + "', limits: {" + limits +
               "}}}";
    };
    check_warned({with("-t 8", "threads: 4"), "limits.threads is 4, but cmd says 8"});
    check_warned({with("--threads=8", "threads: 4"), "limits.threads is 4, but cmd says 8"});
    check_warned({with("-ngl 99 -ngl all", "gpuLayers: 99"), "gpuLayers is 99, but cmd says all"});
    check_warned({with("--n-gpu-layers 1", "gpuLayers: 0"), "gpuLayers is 0, but cmd says 1"});
    for (const char* options : {"-t 4 --gpu-layers 20 -tb 9", ""}) {
        const auto loaded = load(with(options, "threads: 4, gpuLayers: 20"));
        CHECK(loaded.config);
        CHECK(warning_with(loaded, "limits") == nullptr);
    }
}

TEST_CASE("the model of /comfyui gets what its pages need") {
    // Guards: at least 50 at once and no waiting WebSockets, for that id alone.
    const auto config =
        good("models: {comfyui_auto: {cmd: '${PORT}', concurrencyLimit: 3}, m: {cmd: '${PORT}'}}");
    CHECK(model(config, "comfyui_auto").concurrency_limit == 50);
    CHECK(model(config, "comfyui_auto").ignore_websockets);
    CHECK(model(config, "m").concurrency_limit == 0);
}
