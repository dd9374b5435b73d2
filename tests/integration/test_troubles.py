"""One child for each way to misbehave: what /running shows, what the client is told, that Corral's
memory stays bounded, that a neighbour is served meanwhile, and that nothing of it is left."""

import json

import pytest
from corral_harness import poll_until, quote
from corral_http import make_request
from corral_measure import SANITIZED
from corral_processes import is_alive, marked, resident_bytes

MEMORY_ROOM = 24 << 20
QUICK = {"healthCheckTimeout": 1, "unloadTimeout": 1}
NOT_READY = (502, "was not ready after")
IN_USE = "bind: Address already in use\\n"

# Name → (the child's script, the status that a completion gets, words of a refusal's message)
TROUBLES = {
    "never listens": ({"never_listen": True}, *NOT_READY),
    "never listens and ignores SIGTERM": ({"never_listen": True, "ignore_term": True}, *NOT_READY),
    "listens late": ({"listen_late": "300ms"}, 200, None),
    "accepts and hangs": ({"accept_and_hang": True}, *NOT_READY),
    "answers probes with garbage": ({"garbage_probe": True}, *NOT_READY),
    "answers requests with garbage": ({"garbage": True}, 502, "the answer's head"),
    "503 for a while": ({"load": "300ms"}, 200, None),
    "503 for ever": ({"load": "600s"}, *NOT_READY),
    "crashes at start": ({"die_at_start": 3}, 502, "exit status 3"),
    "is killed at start": ({"die_at_start": 0, "signal": 11}, 502, "signal 11"),
    "crashes while it loads": ({"load": "600s", "die_after": "200ms"}, 502, "exit status 1"),
    "crashes on a request": ({"die_on_request": True, "exit_code": 7}, 502, "exit status 7"),
    "ignores SIGTERM": ({"ignore_term": True}, 200, None),
    "holds on after SIGTERM": ({"term_delay": "300ms"}, 200, None),
    "forks": ({"fork_grandchild": True}, 200, None),
    "forks twice": ({"double_fork": True}, 200, None),
    "changes the group": ({"regroup_grandchild": True}, 200, None),
    "leaves the session": ({"setsid_grandchild": True}, 200, None),
    "forks in every way and ignores SIGTERM": (
        {
            "fork_grandchild": True,
            "double_fork": True,
            "regroup_grandchild": True,
            "setsid_grandchild": True,
            "ignore_term": True,
        },
        200,
        None,
    ),
    "forks in every way and crashes": (
        {
            "fork_grandchild": True,
            "double_fork": True,
            "regroup_grandchild": True,
            "setsid_grandchild": True,
            "die_on_request": True,
        },
        502,
        "exit status 1",
    ),
    "prints one endless line": ({"endless_line": True, "flood_for": "600s"}, 200, None),
    "floods both streams": ({"stdout_flood": True, "flood_for": "600s"}, 200, None),
    "floods and never listens": (
        {"stderr_flood": True, "flood_for": "600s", "never_listen": True},
        *NOT_READY,
    ),
    "prints what is no text": ({"binary_output": True}, 200, None),
    "prints what is no text and crashes": (
        {"binary_output": True, "die_at_start": 9},
        502,
        "exit status 9",
    ),
    "eats memory": ({"eat_memory": "64M"}, 200, None),
    "closes its pipes": ({"close_pipes": True}, 200, None),
    "closes every descriptor": ({"close_all": True}, 200, None),
    "never gets its port": ({"die_at_start": 1, "stderr": IN_USE}, 502, "exit status 1"),
}


def nothing_is_left(yard):
    return not marked(str(yard.folder))


@pytest.mark.parametrize("script,status,told", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_childs_trouble_is_told_and_is_its_own(yard, script, status, told):
    """Guards: whatever the child does, its client gets the answer or a reason within the deadline,
    its neighbour is served meanwhile, memory stays bounded, and unloading leaves nothing of it."""
    bad = yard.engine("bad", QUICK, **script)
    yard.engine("good")
    corral = yard.serve(groups=yard.together())
    assert corral.chat("good").json()["model"] == "good"
    before = resident_bytes(corral.server_pid)
    with corral.connect(60) as client:
        client.send(make_request("POST", "/v1/completions", {"model": "bad"}))
        for _ in range(20):
            assert corral.chat("good").status == 200
            assert corral.running().get("bad") in (None, "starting", "ready", "stopping")
        answer = client.read_response()
    assert answer.status == status, answer
    if status == 200:
        assert answer.complete and answer.json()["model"] == "bad"
        assert corral.running() == {"good": "ready", "bad": "ready"}
    else:
        json.loads(answer.body.decode("utf-8"))  # strictly
        assert told in answer.error["message"], answer
        assert str(yard.folder) not in answer.error["message"]
    assert SANITIZED or resident_bytes(corral.server_pid) < before + MEMORY_ROOM
    assert corral.post("/api/models/unload/bad", deadline=60).status == 200
    assert corral.running() == {"good": "ready"}
    poll_until(lambda: not any(map(is_alive, bad.pids)), what="the child to be gone")
    assert corral.chat("good").status == 200 and len(yard.engines["good"].starts) == 1
    assert corral.terminate() == 0
    poll_until(lambda: nothing_is_left(yard), 10, "every process to be gone")


@pytest.mark.parametrize(
    "script,answers",
    [
        ({"never_listen": True}, "starting"),
        ({"accept_and_hang": True}, "starting"),
        ({"load": "600s"}, "starting"),
        ({"stderr_flood": True, "flood_for": "600s", "never_listen": True}, "starting"),
    ],
    ids=["silent", "hangs", "503", "floods"],
)
def test_a_child_that_is_not_ready_is_starting_and_can_be_unloaded(yard, script, answers):
    """Guards: a start that leads nowhere is shown as such and ends at once when told to, with an
    answer for everyone who waits."""
    bad = yard.engine("bad", **script)
    corral = yard.serve(healthCheckTimeout=600)
    clients = [corral.connect(60) for _ in range(3)]
    for client in clients:
        client.send(make_request("POST", "/v1/completions", {"model": "bad"}))
    corral.wait_for_state("bad", answers)
    poll_until(lambda: bad.starts, what="the child to start")
    assert corral.post("/api/models/unload/bad", deadline=60).status == 200
    for client in clients:
        answer = client.read_response()
        assert answer.status == 503 and "unloaded" in answer.error["message"], answer
        client.close()
    assert corral.running() == {}
    assert not any(map(is_alive, bad.pids))


def test_a_child_that_lost_its_port_gets_another(yard):
    """Guards: "address in use" in what a child says last is no failure of the model."""
    engine = yard.engine("a", die_at_start=1, die_once=yard.folder / "died", stderr=IN_USE)
    corral = yard.serve()
    assert corral.chat("a").json()["model"] == "a"
    assert len(engine.starts) == 2


def test_a_flood_of_five_seconds_delays_nobody_and_is_drained(yard):
    """Guards: standard error as fast as a child can write for 5 s: the child is never stopped by a
    full pipe, others are served all the time, and what is kept of it is bounded."""
    engine = yard.engine("a", stderr_flood=True, flood_for="5s")
    yard.engine("b")
    corral = yard.serve(groups=yard.together())
    assert corral.chat("b").status == 200
    before = resident_bytes(corral.server_pid)
    assert corral.chat("a").status == 200
    most = answered = 0
    while engine.count("flooded") == 0:
        assert corral.chat("b").status == 200 and corral.chat("a").status == 200
        most, answered = max(most, resident_bytes(corral.server_pid)), answered + 1
    assert answered > 10
    assert SANITIZED or most < before + MEMORY_ROOM, (before, most)
    assert corral.post("/api/models/unload").status == 200
    assert not any(map(is_alive, engine.pids))


def test_a_child_that_holds_on_after_sigterm_is_not_killed_before_its_time(yard):
    """Guards: the grace is what unloadTimeout says; a child that needs a part of it gets it."""
    engine = yard.engine("a", {"unloadTimeout": 30}, term_delay="300ms")
    corral = yard.serve()
    assert corral.chat("a").status == 200
    assert corral.post("/api/models/unload/a", deadline=60).status == 200
    assert not is_alive(engine.starts[0])
    assert re_killed(corral, engine.starts[0]) == []


def re_killed(corral, pid):
    """Log lines that say that the process ended by SIGKILL."""
    return [line for line in corral.log.splitlines() if f"pid={pid}" in line and "signal 9" in line]


@pytest.mark.parametrize("tail", [" & wait", "; exit $?", " & exec sleep 600"])
def test_a_wrapper_shell_is_a_model_like_any_other(yard, tail):
    """Guards: `sh -c 'engine & wait'` and its kind: the engine answers, and unloading ends shell
    and engine, though the shell may end first and the engine ignores SIGTERM."""
    engine = yard.engine("a", {"unloadTimeout": 1}, ignore_term=True)
    engine.cmd = "sh -c " + quote(engine.cmd + tail)
    corral = yard.serve()
    for turn in (1, 2):
        assert corral.chat("a").json()["model"] == "a"
        assert len(engine.starts) == turn
        assert corral.post("/api/models/unload/a", deadline=60).status == 200
        assert corral.engine_pids() == []
        assert not any(map(is_alive, engine.pids))


def test_a_wrapper_shell_that_dies_takes_its_engine_with_it(yard):
    """Guards: the engine that a dead shell leaves would hold memory and port: it is ended, and the
    next request gets a new one."""
    engine = yard.engine("a")
    engine.cmd = "sh -c " + quote(engine.cmd + " & wait")
    corral = yard.serve()
    assert corral.chat("a").status == 200
    (shell,) = [pid for pid in corral.engine_pids() if pid not in engine.pids]
    corral.signal(9, shell)
    poll_until(lambda: not is_alive(engine.starts[0]), what="the engine to be ended")
    assert corral.chat("a").json()["model"] == "a"
    assert len(engine.starts) == 2
