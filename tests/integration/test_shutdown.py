"""SIGTERM, once and twice: who is served is served, who waits is told, and nothing is left."""

import os
import signal

from corral_harness import poll_until
from corral_http import wait_briefly
from corral_processes import is_alive
from corral_streams import ask, finish, stream_and_hold


def test_sigterm_ends_everything_and_exits_0(yard):
    """An idle Corral ends at once, its models before it."""
    engine = yard.engine("a")
    corral = yard.serve()
    corral.chat("a")
    assert corral.terminate() == 0
    assert not any(map(is_alive, engine.pids))


def test_sigterm_lets_a_stream_end_and_refuses_newcomers(yard):
    """Who is being served is served to the end; who comes now goes elsewhere."""
    engine = yard.engine("a", gate=True)
    corral = yard.serve()
    with corral.connect() as idle:
        assert idle.request("GET", "/health").status == 200
        connection, response = stream_and_hold(corral, engine)
        corral.signal(signal.SIGTERM)

        def refused():
            try:
                corral.connect().close()
            except OSError:
                return True
            return False

        poll_until(refused, what="new connections to be refused")
        assert idle.read_until_closed() == b"", "an idle connection is closed"
        assert is_alive(engine.starts[0])
        assert finish(connection, response, engine).complete
    assert response.body.endswith(b"[DONE]\n\n")
    assert corral.wait() == 0
    assert not any(map(is_alive, engine.pids))


def test_sigterm_answers_those_who_still_wait_for_a_model(yard):
    """A request that waits for a load is refused with 503 instead of being cut."""
    engine = yard.engine("a", load_until=yard.folder / "never")
    corral = yard.serve()
    with corral.connect() as waiting:
        waiting.send(ask("a"))
        poll_until(lambda: engine.starts, what="the engine to start")
        corral.signal(signal.SIGTERM)
        answer = waiting.read_response()
    assert answer.status == 503, answer
    assert answer.error["type"] == "server_error"
    assert corral.wait() == 0
    assert not is_alive(engine.starts[0])


def test_a_second_sigterm_ends_at_once(yard):
    """Who signals twice does not want to wait for streams."""
    engine = yard.engine("a", gate=True, ignore_term=True)
    corral = yard.serve()
    connection, response = stream_and_hold(corral, engine)
    corral.signal(signal.SIGTERM)
    poll_until(lambda: "finishing" in corral.log, what="the drain to begin")
    corral.signal(signal.SIGTERM)
    corral.wait(10)
    connection.read_body(response)
    assert not response.complete, "a cut stream must look cut"
    assert not any(map(is_alive, engine.pids))


def test_ctrl_c_reaches_guard_and_server_together_and_still_drains(yard):
    """A terminal sends SIGINT to the whole group: that is one wish to stop, not two."""
    engine = yard.engine("a", gate=True)
    corral = yard.serve()
    connection, response = stream_and_hold(corral, engine)
    os.killpg(corral.guard_pid, signal.SIGINT)
    poll_until(lambda: "finishing" in corral.log, what="the drain to begin")
    wait_briefly(0.5)
    assert finish(connection, response, engine).complete
    assert corral.wait() == 0
    assert not any(map(is_alive, engine.pids))
