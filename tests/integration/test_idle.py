"""What loads a model, what keeps it loaded, and what only looks at it; what runs beside it."""

import pytest
from corral_harness import poll_until, quote
from corral_processes import is_alive


def script(text):
    """A command of a config that runs a few words of shell."""
    return "sh -c " + quote(text)


@pytest.mark.parametrize(
    "path", ["/slots", "/metrics", "/props?autoload=0", "/props?autoload=false"]
)
def test_looking_at_a_model_never_loads_it(yard, path):
    """Guards: /slots, /metrics and /props?autoload=0 reach a ready model only."""
    engine = yard.engine("a")
    corral = yard.serve()
    target = path + ("&" if "?" in path else "?") + "model=a"
    answer = corral.get(target)
    assert (answer.status, answer.error["code"]) == (409, "conflict")
    assert corral.chat("a").status == 200
    assert len(engine.starts) == 1
    assert corral.get(target).status == 200


@pytest.mark.parametrize("path", ["/slots", "/metrics", "/props?autoload=0"])
def test_looking_at_a_model_does_not_keep_it(yard, path):
    """Guards: somebody who watches a model all the time does not keep it from its TTL."""
    engine = yard.engine("a", {"ttl": 1})
    corral = yard.serve()
    assert corral.chat("a").status == 200
    target = path + ("&" if "?" in path else "?") + "model=a"

    def unloaded():
        corral.get(target)
        return corral.running() == {}

    poll_until(unloaded, 30, "the model to be unloaded")
    assert len(engine.starts) == 1


def test_props_loads_a_model_but_does_not_keep_it(yard):
    """Guards: GET /props?model= starts the model when it has to, and the TTL runs on."""
    engine = yard.engine("a", {"ttl": 1})
    corral = yard.serve()
    assert corral.get("/props?model=a").status == 200
    assert len(engine.starts) == 1

    def started_again():
        assert corral.get("/props?model=a").status == 200
        return len(engine.starts) > 1

    poll_until(started_again, 30, "its TTL to have passed between two looks")


@pytest.mark.parametrize(
    "path", ["/v1/audio/voices?model=a", "/sdapi/v1/loras?model=a", "/upstream/a/page"]
)
def test_what_is_for_people_loads_a_model(yard, path):
    """Guards: of GETs these do what a POST does."""
    engine = yard.engine("a")
    assert yard.serve().get(path).status == 200
    assert len(engine.starts) == 1


def test_hooks_run_beside_the_model(yard):
    """Guards: afterReady, beforeStop and afterStop run once each, in this order, with the port and
    the pid of the process; beforeStop while it still serves."""
    notes = yard.folder / "notes"
    engine = yard.engine(
        "a",
        {
            "hooks": {
                "afterReady": script(f"echo ready ${{PORT}} ${{PID}} >> {notes}"),
                "beforeStop": script(f"kill -0 ${{PID}} && echo stopping >> {notes}"),
                "afterStop": script(f"kill -0 ${{PID}} || echo stopped >> {notes}"),
            }
        },
    )
    corral = yard.serve()
    assert corral.chat("a").status == 200
    poll_until(lambda: notes.exists() and notes.read_text(), what="afterReady")
    word, port, pid = notes.read_text().split()
    assert (word, pid) == ("ready", str(engine.starts[0])) and int(port) > 0
    assert corral.post("/api/models/unload/a").status == 200
    poll_until(lambda: len(notes.read_text().splitlines()) == 3, what="afterStop")
    assert notes.read_text().splitlines()[1:] == ["stopping", "stopped"]


def test_a_hook_that_fails_or_hangs_is_a_warning(yard):
    """Guards: no hook keeps a model from serving or from stopping, and none is left behind."""
    engine = yard.engine(
        "a",
        {"hooks": {"afterReady": "/no/such/hook", "beforeStop": "sleep 600", "timeout": "200ms"}},
    )
    corral = yard.serve()
    assert corral.chat("a").status == 200
    assert corral.post("/api/models/unload/a").status == 200
    assert not is_alive(engine.starts[0])
    for text in ("hooks.afterReady failed", "hooks.beforeStop failed"):
        poll_until(lambda: text in corral.log, what=text)
    poll_until(lambda: corral.engine_pids() == [], what="the hook to be gone")


def test_a_stop_command_that_hangs_is_killed_and_sigterm_takes_its_place(yard):
    """Guards: cmdStopTimeout bounds it, the model gets its own grace, and nothing is left."""
    engine = yard.engine(
        "a", {"cmdStop": "sleep 600", "cmdStopTimeout": "200ms", "unloadTimeout": 60}
    )
    corral = yard.serve()
    assert corral.chat("a").status == 200
    assert corral.post("/api/models/unload/a").status == 200
    assert not is_alive(engine.starts[0])
    poll_until(lambda: corral.engine_pids() == [], what="the stop command to be gone")


@pytest.mark.parametrize("router", ["groups", "matrix"])
def test_preloads_that_may_run_together_load_at_the_same_time(yard, router):
    """Guards: one slow preload does not delay another where the router lets both run."""
    loaded = yard.folder / "loaded"
    for name in ("a", "b"):
        yard.engine(name, load_until=loaded)
    rules = {"groups": yard.together()}
    if router == "matrix":
        rules = {"matrix": {"sets": {"s": "a & b"}}}
    corral = yard.serve(hooks={"on_startup": {"preload": ["a", "b"]}}, **rules)
    poll_until(
        lambda: corral.running() == {"a": "starting", "b": "starting"}, what="both to be starting"
    )
    loaded.touch()
    poll_until(lambda: corral.running() == {"a": "ready", "b": "ready"}, what="both to be ready")


def test_preloads_that_exclude_each_other_load_one_after_the_other(yard):
    """Guards: with llama-swap's default group each is loaded once, and the last one stays."""
    a, b = yard.engine("a"), yard.engine("b")
    corral = yard.serve(hooks={"on_startup": {"preload": ["a", "b"]}})
    poll_until(lambda: corral.running() == {"b": "ready"}, what="the last one to be ready")
    assert (len(a.starts), len(b.starts)) == (1, 1)
