"""GET /metrics: what a Prometheus server reads of the models, of the machine and of Corral."""

import json
import re

import pytest
from corral_harness import poll_until
from corral_http import make_request

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def scrape(corral, **more):
    """(name, labels as a sorted tuple) → value; fails at a line that is not of the format."""
    answer = corral.get("/metrics", **more)
    assert answer.status == 200, answer
    assert answer.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    values, kinds = {}, {}
    for line in answer.body.decode("utf-8").splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds, f"{name} stands twice"
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            found = SAMPLE.fullmatch(line)
            assert found, line
            name, labels, value = found.groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in kinds or kinds.get(family) == "histogram", line
            key = (name, tuple(sorted(LABEL.findall(labels or ""))))
            assert key not in values, line
            values[key] = float(value)
    return values


def value(values, name, **labels):
    return values.get((name, tuple(sorted(labels.items()))))


def failures(values, model, kind):
    return value(values, "corral_model_failures_total", model=model, **{"class": kind})


def models_by_state(values):
    return {dict(labels)["state"]: count for (name, labels), count in values.items()
            if name == "corral_models" and count}


def test_a_page_without_any_model_running(yard):
    """Guards: the page starts nothing, names the version, and has the machine under the names that
    llama-swap's dashboards read, and the usual ones of a process."""
    engine = yard.engine("a")
    corral = yard.serve()
    values = scrape(corral)
    names = {name for name, _ in values}
    assert models_by_state(values) == {"stopped": 1}
    assert any(name == "corral_build_info" and dict(labels)["version"] for name, labels in values)
    for name in ("cpu_util_percent", "memory_total_bytes", "memory_used_bytes", "memory_free_bytes",
                 "swap_total_bytes", "swap_used_bytes", "load_average", "network_bytes_total"):
        assert "llamaswap_" + name in names
    for name in ("cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds",
                 "max_fds", "start_time_seconds"):
        assert values[("process_" + name, ())] >= 0
    assert value(values, "llamaswap_cpu_util_percent", core="0") is not None
    assert value(values, "corral_connections") >= 1
    assert not any("model" in dict(labels) for _, labels in values)
    assert engine.starts == [] and corral.running() == {}


def test_a_model_is_followed_through_its_life(yard):
    """Guards: starting with those who wait, ready with those in flight, and stopped, each with its
    count; how long a start took is counted once."""
    loaded = yard.folder / "loaded"
    engine = yard.engine("a", load_until=loaded, gate=True)
    corral = yard.serve()
    with corral.connect(60) as client:
        client.send(make_request("POST", "/v1/completions", {"model": "a"}))
        corral.wait_for_state("a", "starting")
        values = scrape(corral)
        assert models_by_state(values) == {"starting": 1}
        assert value(values, "corral_queue_waiting", model="a") == 1
        assert value(values, "corral_requests_in_flight", model="a") == 0
        assert value(values, "corral_model_ready", model="a") == 0
        assert value(values, "corral_model_starts_total", model="a") == 1
        assert value(values, "corral_model_start_seconds_count") == 0
        loaded.touch()
        poll_until(lambda: engine.count("request") == 1, what="the request to arrive")
        values = scrape(corral)
        assert models_by_state(values) == {"ready": 1}
        assert value(values, "corral_queue_waiting", model="a") == 0
        assert value(values, "corral_requests_in_flight", model="a") == 1
        assert value(values, "corral_model_ready", model="a") == 1
        assert value(values, "corral_model_start_seconds_count") == 1
        assert value(values, "corral_model_last_start_seconds", model="a") > 0
        engine.open_gate()
        assert client.read_response().status == 200
    assert corral.post("/api/models/unload/a").status == 200
    values = scrape(corral)
    assert models_by_state(values) == {"stopped": 1}
    assert value(values, "corral_model_stops_total", model="a", cause="unload") == 1
    assert value(values, "corral_model_stop_seconds_count") == 1
    assert value(values, "corral_model_ready", model="a") == 0
    assert not any(name == "corral_model_failures_total" for name, _ in values)


def test_failures_are_counted_by_class_and_a_rest_is_shown(yard):
    """Guards: the class that the body, the log and the API have is in the metrics, too, and nothing
    that a model prints or is called with is."""
    yard.engine("a", die_at_start=1, stderr="error: invalid argument: --sk-secret\\n")
    yard.engine("b", die_on_request=True, exit_code=9)
    corral = yard.serve()
    for turn in range(1, 4):
        answer = corral.chat("a")
        assert answer.error["failure"]["class"] == "bad_flag"
        values = scrape(corral)
        assert failures(values, "a", "bad_flag") == turn
        assert value(values, "corral_model_failures_in_a_row", model="a") == turn
    assert value(values, "corral_model_cooling_down_seconds", model="a") > 0
    assert corral.chat("a").status == 503
    assert corral.chat("b").status == 502
    values = scrape(corral)
    assert value(values, "corral_model_starts_total", model="a") == 3
    assert failures(values, "b", "other") == 1
    assert models_by_state(values) == {"failed": 2}
    assert "sk-secret" not in corral.get("/metrics").body.decode()
    assert corral.post("/api/models/reset").status == 200
    values = scrape(corral)
    assert value(values, "corral_model_cooling_down_seconds", model="a") in (None, 0)
    assert failures(values, "a", "bad_flag") == 3


def test_a_model_that_a_reload_took_out_has_no_series(yard):
    """Guards: series are those of the models that are configured now; the others' go on."""
    yard.engine("a"), yard.engine("b")
    corral = yard.serve(groups=yard.together())
    assert corral.chat("a").status == 200 and corral.chat("b").status == 200
    assert value(scrape(corral), "corral_model_starts_total", model="b") == 1
    config = yard.config()
    del config["models"]["b"]
    corral.config_file.write_text(json.dumps(config))
    assert corral.post("/api/config/reload").status == 200
    poll_until(lambda: corral.running() == {"a": "ready"}, what="b to be gone")
    values = scrape(corral)
    assert value(values, "corral_model_starts_total", model="a") == 1
    assert not any(dict(labels).get("model") == "b" for _, labels in values)
    assert models_by_state(values) == {"ready": 1}


@pytest.mark.parametrize("name", ['quo"te\\back', "new\nline", "org/ünïcode 模型"])
def test_a_name_is_escaped(yard, name):
    """Guards: no name of a model breaks the page."""
    corral = yard.serve({"models": {name: {"cmd": "/no/such/server ${PORT}"}}})
    assert corral.chat(name).status == 502
    values = scrape(corral)
    shown = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert value(values, "corral_model_starts_total", model=shown) == 1


def test_a_key_is_needed_and_scrapes_keep_no_model(yard):
    """Guards: the page is behind the key, HEAD has no body, and reading it again and again does not
    keep a model from its TTL."""
    engine = yard.engine("a", {"ttl": 1})
    corral = yard.serve(apiKeys=["sk-one"])
    key = [("Authorization", "Bearer sk-one")]
    assert corral.get("/metrics").status == 401
    assert corral.post("/metrics", fields=key).status == 405
    head = corral.request("HEAD", "/metrics", fields=key)
    assert (head.status, head.body) == (200, b"")
    assert corral.get("/upstream/a/x", fields=key).status == 200
    poll_until(
        lambda: value(scrape(corral, fields=key), "corral_model_stops_total", model="a",
                      cause="ttl") == 1, 30, "the model to be unloaded by its TTL"
    )
    assert len(engine.starts) == 1


def test_with_a_model_it_is_the_models_own_page(yard):
    """Guards: ?model= goes to that model's server, as ever; an empty one is a mistake."""
    engine = yard.engine("a")
    corral = yard.serve()
    assert corral.get("/metrics?model=a").status == 409
    assert corral.chat("a").status == 200
    answer = corral.get("/metrics?model=a")
    assert answer.status == 200 and b"corral_build_info" not in answer.body
    assert engine.count("request GET /metrics") == 1
    assert corral.get("/metrics?model=").status == 404


def test_the_page_can_be_switched_off(yard):
    """Guards: performance.disabled is answered as llama-swap answers it, and a model's own page is
    not meant."""
    yard.engine("a")
    corral = yard.serve(performance={"disabled": True})
    answer = corral.get("/metrics")
    assert (answer.status, answer.body) == (503, b"# performance monitor not available")
    assert corral.chat("a").status == 200
    assert corral.get("/metrics?model=a").status == 200


def test_scrapes_do_not_fill_the_log(yard):
    """Guards: a page that is asked for every few seconds is logged only when that fails."""
    corral = yard.serve(apiKeys=["sk-one"])
    key = [("Authorization", "Bearer sk-one")]
    assert corral.get("/metrics", fields=key).status == 200
    assert corral.get("/wol-health").status == 200
    assert corral.get("/metrics").status == 401
    assert corral.get("/health").status == 200
    poll_until(lambda: "path=/health " in corral.log, 20, "the line of the last request")
    logged = re.findall(r"path=(\S+) .*status=(\d+)", corral.log)
    assert logged == [("/metrics", "401"), ("/health", "200")], corral.log
