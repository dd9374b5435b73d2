// core/config_load: logs, activity, captures, performance, the page, upstream.ignorePaths.
#include "core/path_patterns.hpp"
#include "tests/unit/core/load_support.hpp"

#include <string>
#include <vector>

using namespace corral;
using namespace corral::test;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

TEST_CASE("what is recorded and shown is read") {
    // Guards: each key of the contract's 2.1 that has no other reader.
    const auto config = good(
        "macros: {mb: 7, every: 1m30s, p: \\.bin$}\nlogTimeFormat: RFC3339Nano\nlogToStdout: both\n"
        "metricsMaxInMemory: 20\ncaptureBuffer: ${mb}\nstore: {path: /var/lib/a.db}\n"
        "ui: {activity: {session_id: [' X-One ', '', x-one, Y]}}\n"
        "performance: {disabled: true, every: '${every}'}\n"
        "upstream: {ignorePaths: ['^/a', '${p}']}\n");
    CHECK(config.log_time_format == "rfc3339nano");
    CHECK(config.log_to_stdout == LogToStdout::both);
    CHECK(config.activity_rows_max == 20);
    CHECK(config.capture_bytes_max == 7U << 20U);
    CHECK(config.store_path == "/var/lib/a.db");
    CHECK(config.session_id_fields == Words{"X-One", "Y"});
    CHECK(config.performance_disabled);
    CHECK(config.performance_every == 90s);
    CHECK(config.ignore_paths == Words{"^/a", "\\.bin$"});
}

TEST_CASE("what is not written has llama-swap's default") {
    // Guards: null, empty blocks and zeros mean the same as nothing.
    const std::string rows[] = {
        "",
        "logTimeFormat:\nlogToStdout:\nmetricsMaxInMemory:\ncaptureBuffer:\nstore:\nui:\n"
        "performance:\nupstream:\n",
        "logTimeFormat: ''\nui: {activity: {session_id: }}\nperformance: {every: 0s}\n"
        "upstream: {ignorePaths: []}",
        "performance: {every: '0'}\nupstream: {ignorePaths: }\nui: {activity: }",
    };
    for (const auto& yaml : rows) {
        CAPTURE(yaml);
        const auto config = good(yaml);
        CHECK(config.log_time_format.empty());
        CHECK(config.log_to_stdout == LogToStdout::proxy);
        CHECK(config.activity_rows_max == 1000);
        CHECK(config.capture_bytes_max == 5U << 20U);
        CHECK(config.store_path.empty());
        CHECK(config.session_id_fields == Words{"X-Session-ID", "X-Litellm-Session-Id"});
        CHECK(!config.performance_disabled);
        CHECK(config.performance_every == 5s);
        CHECK(config.ignore_paths == default_ignore_paths());
    }
    CHECK(good("ui: {activity: {session_id: []}}").session_id_fields.empty());
    CHECK(good("captureBuffer: 0").capture_bytes_max == 0);
    CHECK(good("captureBuffer: 9000000000000000000").capture_bytes_max > 1ULL << 60U);
}

TEST_CASE("mistakes in these keys are refused in llama-swap's words") {
    // Guards: the stable phrases, also for values that come out of macros.
    const Row rows[] = {
        {"logToStdout: Proxy", "logToStdout must be one of: proxy, upstream, both, none"},
        {"macros: {a: none!}\nlogToStdout: ${a}", "logToStdout must be one of"},
        {"logTimeFormat: ${x}", "logTimeFormat: unknown macro '${x}'"},
        {"store: {}", "store.path must not be empty"},
        {"store: {path: ' '}", "store.path must not be empty"},
        {"store: {path: [a]}", "store.path: cannot unmarshal !!seq into string"},
        {"performance: {every: 4999ms}", "performance: every must be at least 5s, got 4999ms"},
        {"performance: {every: -5s}", "performance: every must be at least 5s, got -5s"},
        {"performance: {every: 0}", "cannot unmarshal !!int `0` into time.Duration"},
        {"performance: {every: 10.5}", "cannot unmarshal !!float `10.5` into time.Duration"},
        {"performance: {every: soon}", "cannot unmarshal !!str `soon` into time.Duration"},
        {"performance: {every: [5s]}", "cannot unmarshal !!seq into time.Duration"},
        {"upstream: {ignorePaths: ['[']}",
         "upstream.ignorePaths: invalid regular expression \"[\": missing closing ]"},
        {"upstream: {ignorePaths: ['a**', '(?<n']}", "invalid regular expression \"(?<n\": "},
        {"captureBuffer: 10MB", "captureBuffer: cannot unmarshal !!str `10MB` into int"},
    };
    for (const auto& row : rows) {
        check_refused(row);
    }
    check_warned({"logTimeFormat: iso", "unknown logTimeFormat \"iso\": no time is shown"});
    check_warned({"metricsMaxInMemory: 0", "metricsMaxInMemory 0 is not a number of rows"});
    check_warned({"captureBuffer: -1", "captureBuffer is negative"});
}
