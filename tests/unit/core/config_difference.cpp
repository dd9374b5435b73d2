// core/config_difference: every change is named once, and only what has to restarts.
#include "core/config_difference.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

using namespace corral;

namespace {

using Names = std::vector<std::string>;

ModelConfig model(const std::string& id) {
    ModelConfig out;
    out.id = ModelId(id);
    out.cmd = "server --port ${PORT}";
    out.argv = {"server", "--port", "${PORT}"};
    return out;
}

Config config_of(const Names& ids) {
    Config out;
    for (const std::string& id : ids) {
        out.models.push_back(model(id));
    }
    return out;
}

/// What a change of the one model gives.
ConfigDifference after_edit(const std::function<void(ModelConfig&)>& edit) {
    const Config before = config_of({"a", "b"});
    Config after = before;
    edit(after.models[0]);
    return difference(before, after);
}

}  // namespace

TEST_CASE("models that come, go and stay are told apart, sorted") {
    // Guards: each model stands in exactly the list that says what happens to it.
    const Config before = config_of({"a", "b", "c", "d", "e"});
    Config after = config_of({"0", "a", "c", "d", "f"});
    after.models[1].ttl = std::chrono::seconds(5);
    after.models[2].argv.emplace_back("--more");
    const ConfigDifference found = difference(before, after);
    CHECK(found.added == Names{"0", "f"});
    CHECK(found.removed == Names{"b", "e"});
    CHECK(found.updated == Names{"a"});
    CHECK(found.restarted == Names{"c"});
    CHECK(found.settings.empty());
    CHECK_FALSE(found.empty());
}

TEST_CASE("equal configs differ in nothing, whatever file they came from") {
    // Guards: a comment edit, a moved file and ports that shift touch no model.
    const Config before = config_of({"b"});
    Config after = config_of({"b"});
    after.origin = "elsewhere.yaml";
    after.models[0].port = 5801;
    CHECK(difference(before, after).empty());
    CHECK(describe(difference(before, after)) == "nothing changed");
}

TEST_CASE("only the command, its environment and its address need a new process") {
    // Guards: these three restart, and a member that is added to ModelConfig is looked at here.
    const auto restarts = [](const std::function<void(ModelConfig&)>& edit) {
        const ConfigDifference found = after_edit(edit);
        return found.restarted == Names{"a"} && found.updated.empty();
    };
    CHECK(restarts([](ModelConfig& m) { m.argv.back() = "5800"; }));
    CHECK(restarts([](ModelConfig& m) { m.env = {"A=b"}; }));
    CHECK(restarts([](ModelConfig& m) { m.proxy = "http://localhost:1"; }));
    CHECK(restarts([](ModelConfig& m) { m.limits.memory = 1; }));
    CHECK(restarts([](ModelConfig& m) { m.limits.nice = 1; }));
    CHECK(restarts([](ModelConfig& m) { m.limits.oom_score_adj = 1; }));

    const std::vector<std::function<void(ModelConfig&)>> in_place{
        [](ModelConfig& m) { m.name = "x"; },
        [](ModelConfig& m) { m.description = "x"; },
        [](ModelConfig& m) { m.cmd = "server  --port ${PORT}  # the same words"; },
        [](ModelConfig& m) { m.cmd_stop = {"stop"}; },
        [](ModelConfig& m) { m.check_endpoint = "/ready"; },
        [](ModelConfig& m) { m.aliases = {"x"}; },
        [](ModelConfig& m) { m.use_model_name = "x"; },
        [](ModelConfig& m) { m.unlisted = true; },
        [](ModelConfig& m) { m.send_loading_state = true; },
        [](ModelConfig& m) { m.loading_keep_alive = std::chrono::seconds(1); },
        [](ModelConfig& m) { m.ignore_websockets = true; },
        [](ModelConfig& m) { m.ttl = std::chrono::seconds(1); },
        [](ModelConfig& m) { m.health_check_timeout = std::chrono::seconds(1); },
        [](ModelConfig& m) { m.unload_timeout = std::chrono::seconds(1); },
        [](ModelConfig& m) { m.cmd_stop_timeout = std::chrono::seconds(1); },
        [](ModelConfig& m) { m.start_stall_timeout = std::chrono::seconds(1); },
        [](ModelConfig& m) { m.keep_alive = true; },
        [](ModelConfig& m) { m.hooks.after_stop = {"x"}; },
        [](ModelConfig& m) { m.concurrency_limit = 1; },
        [](ModelConfig& m) { m.priority = 1; },
        [](ModelConfig& m) { m.filters.strip_params = {"x"}; },
        [](ModelConfig& m) { m.timeouts.connect = std::chrono::seconds(1); },
        [](ModelConfig& m) { m.limits.threads = 1; },  // for the generator of commands only
        [](ModelConfig& m) { m.capabilities.tools = true; },
        [](ModelConfig& m) { m.metadata = "{}"; },
    };
    for (std::size_t i = 0; i < in_place.size(); ++i) {
        CAPTURE(i);
        const ConfigDifference found = after_edit(in_place[i]);
        CHECK(found.updated == Names{"a"});
        CHECK(found.restarted.empty());
    }
    // id, port, three that restart, and those above: a new member needs a decision, and a line.
    [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v,
                                  w, x, y, z, aa, ab, ac, ad] = ModelConfig();
    CHECK(in_place.size() == 30 - 5);
}

TEST_CASE("every key outside of the models is named when it changes") {
    // Guards: no setting changes in silence; a member that is added to Config is looked at here.
    struct Edit {
        std::string_view key;
        std::function<void(Config&)> edit;
        bool needs_restart = false;
    };
    const std::vector<Edit> edits{
        {"logLevel", [](Config& c) { c.log_level = LogLevel::debug; }},
        {"logTimeFormat", [](Config& c) { c.log_time_format = "rfc3339"; }, true},
        {"logToStdout", [](Config& c) { c.log_to_stdout = LogToStdout::none; }},
        {"logs", [](Config& c) { c.logs.directory = "/logs"; }},
        {"listen", [](Config& c) { c.listen = {":1"}; }, true},
        {"tls",
         [](Config& c) {
             c.tls = {"a.pem", "a.key"};
         },
         true},
        {"startPort", [](Config& c) { c.start_port = 6000; }},
        {"includeAliasesInList", [](Config& c) { c.include_aliases_in_list = true; }},
        {"apiKeys", [](Config& c) { c.api_keys = {"secret"}; }},
        {"allowedHosts", [](Config& c) { c.allowed_hosts = {"a"}; }},
        {"allowedOrigins", [](Config& c) { c.allowed_origins = {"*"}; }},
        {"trustedProxies", [](Config& c) { c.trusted_proxies = {"unix"}; }},
        {"h2cUpgrade", [](Config& c) { c.h2c_upgrade = H2cUpgrade::ignore; }},
        {"hooks.on_startup.preload", [](Config& c) { c.preload = {"a"}; }, true},
        {"upstream.ignorePaths", [](Config& c) { c.ignore_paths = {"x"}; }},
        {"routing.router.use", [](Config& c) { c.router = RouterKind::matrix; }},
        {"groups",
         [](Config& c) {
             c.groups = {{"g", true, true, false, {ModelId("a")}}};
         }},
        {"matrix",
         [](Config& c) {
             c.matrix.evict_costs = {{ModelId("a"), 2}};
         }},
        {"profiles",
         [](Config& c) {
             c.profiles = {{"p", "", {}}};
         }},
        {"selectors", [](Config& c) { c.selectors.emplace_back(); }},
        {"peers", [](Config& c) { c.peers.emplace_back(); }},
        {"captureBuffer", [](Config& c) { c.capture_bytes_max = 1; }},
        {"metricsMaxInMemory", [](Config& c) { c.activity_rows_max = 1; }},
        {"store.path", [](Config& c) { c.store_path = "x"; }, true},
        {"performance.disabled", [](Config& c) { c.performance_disabled = true; }},
        {"performance.every", [](Config& c) { c.performance_every = Limits().head_timeout; }},
        {"ui.activity.session_id", [](Config& c) { c.session_id_fields = {}; }},
        {"limits", [](Config& c) { c.limits.connections = 1; }},
        {"discovery", [](Config& c) { c.discovery.watch = true; }},
    };
    for (const Edit& edit : edits) {
        CAPTURE(edit.key);
        const Config before = config_of({"a"});
        Config after = before;
        edit.edit(after);
        const ConfigDifference found = difference(before, after);
        CHECK(found.settings == Names{std::string(edit.key)});
        CHECK(found.needs_restart == (edit.needs_restart ? found.settings : Names{}));
        CHECK_FALSE(found.empty());
        CHECK(describe(found).find("secret") == std::string::npos);
    }
    // All of these but `origin` and `models` stand above: a new member needs a line.
    [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v,
                                  w, x, y, z, aa, ab, ac, ad, ae] = Config();
    CHECK(edits.size() == 31 - 2);
}

TEST_CASE("a model that is added is no change of the groups, though it joins the default one") {
    // Guards: "settings" names what somebody edited, not what follows from it.
    Config before = config_of({"a"});
    before.groups = {{"(default)", true, true, false, {ModelId("a")}}};
    Config after = config_of({"a", "b"});
    after.groups = {{"(default)", true, true, false, {ModelId("a"), ModelId("b")}}};
    CHECK(difference(before, after).settings.empty());
    after.groups.insert(after.groups.begin(), {"g", true, true, false, {ModelId("b")}});
    CHECK(difference(before, after).settings == Names{"groups"});
}

TEST_CASE("the description is one line, and short for a long list") {
    // Guards: a reload is one log line, however much changed.
    ConfigDifference many;
    for (int i = 0; i < 40; ++i) {
        many.added.push_back("m" + std::to_string(i));
    }
    many.removed = {"old"};
    many.settings = {"groups", "store.path"};
    many.needs_restart = {"store.path"};
    CHECK(describe(many) ==
          "added m0, m1, m2, m3, m4, m5, m6, m7, m8, m9 and 30 more; removed old; settings "
          "groups, store.path; not before Corral is restarted: store.path");
}
