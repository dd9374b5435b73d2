"""However Corral ends, no process of a model is left behind."""

import json
import os
import signal
from pathlib import Path

import pytest
from corral_harness import Corral, poll_until
from corral_processes import children, is_alive, marked

SCRIPTS = {
    "plain": {},
    "ignores-term": {"ignore_term": True},
    "forks": {"fork_grandchild": True},
    "escapes": {"setsid_grandchild": True},
    "all of it": {"setsid_grandchild": True, "fork_grandchild": True, "ignore_term": True},
}


def nothing_left(yard):
    return not marked(str(yard.folder))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_server_that_is_killed_leaves_nothing(yard, script, number):
    """The guard ends what the server can no longer end, and passes on how the server ended."""
    engine = yard.engine("a", **script)
    asan = {"ASAN_OPTIONS": "handle_segv=0"}  # a sanitizer would make an exit of this signal
    corral = Corral(yard.folder, yard.config(), env=asan)
    yard.corrals.append(corral)
    assert corral.chat("a").status == 200
    assert any(map(is_alive, engine.pids))
    corral.signal(number, corral.server_pid)
    assert corral.wait() in (128 + number, -number)
    poll_until(lambda: nothing_left(yard), 10, "every process to be gone")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_guard_that_is_killed_takes_everything_with_it(yard, script):
    """The server notices that nobody guards it and ends its models and itself."""
    engine = yard.engine("a", **script)
    corral = yard.serve()
    assert corral.chat("a").status == 200
    server = corral.server_pid
    corral.signal(signal.SIGKILL, corral.guard_pid)
    corral.wait()
    poll_until(lambda: not is_alive(server), 10, "the server to end")
    poll_until(lambda: nothing_left(yard), 10, f"every process to be gone {engine.pids}")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_sigterm_leaves_nothing(yard, script):
    """Stopping ends the whole tree, what left the group or ignores SIGTERM included."""
    yard.engine("a", {"unloadTimeout": 1}, **script)
    corral = yard.serve()
    assert corral.chat("a").status == 200
    assert corral.terminate() == 0
    poll_until(lambda: nothing_left(yard), 10, "every process to be gone")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_unloading_ends_the_whole_tree(yard, script):
    """A model is unloaded when nothing of it is left, not when its first process has gone."""
    engine = yard.engine("a", {"unloadTimeout": 1}, **script)
    corral = yard.serve()
    assert corral.chat("a").status == 200
    assert corral.post("/api/models/unload/a").status == 200
    assert [pid for pid in engine.pids if is_alive(pid)] == []
    assert corral.engine_pids() == []
    assert corral.chat("a").status == 200


@pytest.mark.parametrize("script", ["fork_grandchild", "setsid_grandchild"])
def test_a_model_that_dies_by_itself_leaves_nothing(yard, script):
    """What a dead model forked holds memory and ports: it is ended, too."""
    engine = yard.engine("a", die_on_request=True, exit_code=4, **{script: True})
    corral = yard.serve()
    assert corral.post("/models/load", {"model": "a"}).status == 200
    poll_until(lambda: len(engine.pids) == 2, what="the grandchild to be there")
    assert corral.chat("a").status == 502
    poll_until(lambda: not any(map(is_alive, engine.pids)), 15, "the grandchild to be gone")


@pytest.mark.parametrize("victim", ["server_pid", "guard_pid"])
def test_killed_while_a_model_is_starting_leaves_nothing(yard, victim):
    """The moment between fork and readiness is no hole."""
    engine = yard.engine("a", never_listen=True, setsid_grandchild=True, ignore_term=True)
    corral = yard.serve()
    with corral.connect() as waiting:
        waiting.send(b"GET /upstream/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        poll_until(lambda: len(engine.pids) == 2, what="the engine to start")
        corral.signal(signal.SIGKILL, getattr(corral, victim))
        corral.wait()
        poll_until(lambda: nothing_left(yard), 10, "every process to be gone")


def test_the_port_is_free_again_after_a_kill(yard):
    """No orphan holds the listening socket: the next Corral takes the same port at once."""
    yard.engine("a", ignore_term=True)
    corral = yard.serve()
    corral.chat("a")
    port = corral.port
    corral.signal(signal.SIGKILL, corral.server_pid)
    corral.wait()
    again = yard.start("serve", "--config", corral.config_file, "--listen", f"127.0.0.1:{port}")
    assert again.port == port
    assert again.chat("a").status == 200


def test_twenty_kills_in_a_row_leave_nothing(yard):
    """No trial in twenty leaves a process, whatever the moment of the kill."""
    yard.engine("a", ignore_term=True, setsid_grandchild=True)
    config = yard.config()
    for trial in range(20):
        corral = Corral(yard.folder, config)
        try:
            with corral.connect() as connection:
                connection.send(b"GET /upstream/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if trial % 2:
                    assert connection.read_response().status == 200
                server = children(corral.guard_pid)
                os.kill(server[0], signal.SIGKILL)
                corral.wait()
            poll_until(lambda: nothing_left(yard), 10, f"trial {trial}: nothing left")
        finally:
            corral.close()


def test_no_guard_still_ends_its_models_on_sigterm(yard):
    """--no-guard is for debuggers: one process, the same clean end."""
    yard.engine("a", setsid_grandchild=True)
    config = yard.folder / "c.yaml"
    config.write_text(json.dumps(yard.config()))
    corral = yard.start("serve", "--no-guard", "--config", config, "--listen", "127.0.0.1:0")
    assert corral.chat("a").status == 200
    assert corral.terminate() == 0
    poll_until(lambda: nothing_left(yard), 10, "every process to be gone")


def test_the_guard_holds_little_memory(yard):
    """Guards: what only starting needed, the libraries' code above all, is given back: the guard
    waits for as long as Corral runs."""
    yard.engine("a")
    corral = yard.serve()

    def file_pages(pid):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("RssFile:")[1].split()[0])

    poll_until(lambda: file_pages(corral.guard_pid) < file_pages(corral.server_pid) / 2,
               what="the guard to be smaller than half of the server")
    corral.signal(signal.SIGTERM)  # and it still does its work
    assert corral.wait() == 0
