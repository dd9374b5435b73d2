"""SIGKILL of the server, of the guard and of both at once, at the worst moments; and a Corral that
takes the place of one that was killed, at once and on the same port."""

import signal

import pytest
from corral_harness import Corral, poll_until, quote
from corral_http import make_request
from corral_processes import children, is_alive, kill_quietly, marked

VICTIMS = {"server": ["server"], "guard": ["guard"], "both": ["guard", "server"]}
EVERY_WAY = {
    "fork_grandchild": True,
    "double_fork": True,
    "regroup_grandchild": True,
    "setsid_grandchild": True,
    "ignore_term": True,
}


def kill(corral, victims):
    """SIGKILL; returns the server's pid."""
    pids = {"server": corral.server_pid, "guard": corral.guard_pid}
    for name in victims:
        kill_quietly(pids[name])
    corral.wait()
    return pids["server"]


def expect_nothing_left(yard):
    poll_until(lambda: not marked(str(yard.folder)), 20, "every process to be gone")


def ask(corral, model):
    connection = corral.connect()
    connection.send(make_request("POST", "/v1/completions", {"model": model}))
    return connection


# Killing both leaves nobody who knows what has left the engine's process: there the engine itself
# has to go, whatever it does to signals, and that is what PDEATHSIG is for.
@pytest.mark.parametrize("victims", VICTIMS.values(), ids=VICTIMS.keys())
@pytest.mark.parametrize("moment", ["launch", "stop", "flood", "serving"])
def test_a_kill_at_any_moment_leaves_nothing(yard, victims, moment):
    """Guards: neither a launch nor a stop nor a flood under way is a hole through which a process
    escapes."""
    ways = {"ignore_term": True} if len(victims) == 2 else dict(EVERY_WAY)
    if moment == "launch":
        ways["never_listen"] = True
    if moment == "flood":
        ways.update(stderr_flood=True, flood_for="600s")
    engine = yard.engine("a", {"unloadTimeout": 600}, **ways)
    corral = yard.serve()
    with ask(corral, "a") as waiting:
        poll_until(lambda: engine.starts, what="the engine to start")
        grandchildren = 0 if len(victims) == 2 else 4
        poll_until(lambda: len(engine.pids) == 1 + grandchildren, what="all of it to be there")
        if moment != "launch":
            assert waiting.read_response().status == 200
        if moment == "stop":
            waiting.send(make_request("POST", "/api/models/unload/a"))
            corral.wait_for_state("a", "stopping")
        server = kill(corral, victims)
    poll_until(lambda: not is_alive(server), 20, "the server to end")
    expect_nothing_left(yard)


@pytest.mark.parametrize("victims", VICTIMS.values(), ids=VICTIMS.keys())
def test_a_corral_takes_the_place_of_one_that_was_killed_at_once(yard, victims):
    """Guards: nobody has to wait for leftovers: the new Corral binds the same port while the old
    one's processes still end, and serves its models."""
    ways = {"ignore_term": True} if len(victims) == 2 else dict(EVERY_WAY)
    engine = yard.engine("a", **ways)
    corral = yard.serve()
    assert corral.chat("a").status == 200
    for turn in range(5):
        pids = {"server": corral.server_pid, "guard": corral.guard_pid}
        for name in victims:
            kill_quietly(pids[name])
        words = ("serve", "--config", yard.corrals[0].config_file)
        again = yard.start(*words, "--listen", f"127.0.0.1:{corral.port}")
        assert again.port == corral.port
        assert again.chat("a").json()["model"] == "a"
        corral.wait()
        poll_until(lambda: not is_alive(pids["server"]), 20, "the old server to end")
        poll_until(lambda: not is_alive(engine.starts[turn]), 20, "the old engine to end")
        corral = again
    assert corral.terminate() == 0
    expect_nothing_left(yard)


@pytest.mark.parametrize("victims", [["server"], ["guard"]], ids=["server", "guard"])
def test_a_wrapper_shell_is_no_shelter(yard, victims):
    """Guards: PDEATHSIG ends the shell only; its engine, which then belongs to guard or server, is
    ended as well."""
    engine = yard.engine("a", ignore_term=True)
    engine.cmd = "sh -c " + quote(engine.cmd + " & wait")
    corral = yard.serve()
    assert corral.chat("a").status == 200
    kill(corral, victims)
    poll_until(lambda: not any(map(is_alive, engine.pids)), 20, "the engine to be ended")
    expect_nothing_left(yard)


def test_thirty_kills_at_once_after_the_request_leave_nothing(yard):
    """Guards: wherever between accept and readiness the kill comes, of either process."""
    yard.engine("a", **EVERY_WAY)
    config = yard.config()
    for trial in range(30):
        corral = Corral(yard.folder, config)
        try:
            waiting = ask(corral, "a")
            waiting.has_bytes_within((trial + 1) * 0.001)
            victim = corral.guard_pid if trial % 2 else children(corral.guard_pid)[0]
            kill_quietly(victim, signal.SIGKILL)
            corral.wait()
            waiting.close()
            poll_until(lambda: not marked(str(yard.folder)), 20, f"trial {trial}: nothing left")
        finally:
            corral.close()
