"""Models start when they are needed, make room for each other, and stop when they should; nobody's
request in flight pays for it."""

import os
import signal
import socket

import pytest
from corral_harness import poll_until
from corral_http import make_request, wait_briefly
from corral_processes import is_alive, open_descriptors, resident_bytes, zombies_of
from corral_streams import ask, begin, finish, stream_and_hold


def test_a_model_starts_with_its_first_request_and_only_then(yard):
    """Nothing runs until it is asked for; one start serves all later requests."""
    engine = yard.engine("a")
    corral = yard.serve()
    assert engine.starts == [] and corral.engine_pids() == []
    for _ in range(5):
        assert corral.chat("a").status == 200
    assert len(engine.starts) == 1
    assert corral.engine_pids() == engine.starts


def test_concurrent_requests_join_one_load(yard):
    """A model that is loading is not started again; all who wait are answered."""
    loaded = yard.folder / "loaded"
    engine = yard.engine("a", load_until=loaded)
    corral = yard.serve()
    connections = [corral.connect() for _ in range(8)]
    for connection in connections:
        connection.send(ask("a"))
    corral.wait_for_state("a", "starting")
    assert corral.get("/v1/models").json()["data"][0]["status"]["value"] in ("loaded", "loading")
    assert engine.count("request") == 0
    loaded.touch()
    for connection in connections:
        assert connection.read_response().status == 200
        connection.close()
    assert len(engine.starts) == 1


def test_models_swap_in_both_directions(yard):
    """Of models that share a group one runs at a time, and each comes back when asked."""
    a, b = yard.engine("a"), yard.engine("b")
    corral = yard.serve()
    for turn in range(3):
        assert corral.chat("a").json()["model"] == "a"
        assert corral.running() == {"a": "ready"}
        assert not any(map(is_alive, b.starts))
        assert corral.chat("b").json()["model"] == "b"
        assert corral.running() == {"b": "ready"}
        assert not any(map(is_alive, a.starts))
        assert (len(a.starts), len(b.starts)) == (turn + 1, turn + 1)


def test_twenty_alternating_requests_at_once_are_all_answered(yard):
    """Requests for two models that exclude each other: none is lost, none gets the other's."""
    yard.engine("a"), yard.engine("b")
    corral = yard.serve()
    connections = [(name, corral.connect()) for name in ["a", "b"] * 10]
    for name, connection in connections:
        connection.send(ask(name))
    for name, connection in connections:
        answer = connection.read_response()
        assert (answer.status, answer.json()["model"]) == (200, name)
        connection.close()
    assert len(corral.running()) == 1


def test_a_swap_waits_for_the_requests_in_flight(yard):
    """A stream is never cut for another model: the other one starts when it has ended."""
    a, b = yard.engine("a", gate=True), yard.engine("b")
    corral = yard.serve()
    held = stream_and_hold(corral, a)
    with corral.connect() as waiting:
        waiting.send(ask("b"))
        wait_briefly(0.5)
        assert corral.running() == {"a": "ready"} and b.starts == []
        assert is_alive(a.starts[0])
        assert finish(*held, a).complete
        assert waiting.read_response().json()["model"] == "b"
    assert not is_alive(a.starts[0])


def test_groups_that_do_not_swap_run_side_by_side(yard):
    """`swap: false` lets members coexist; an exclusive group makes the others leave, a persistent
    one stays."""
    for name in ("a", "b", "c", "p"):
        yard.engine(name)
    corral = yard.serve(
        groups={
            "pair": {"swap": False, "exclusive": True, "members": ["a", "b"]},
            "alone": {"swap": True, "exclusive": True, "members": ["c"]},
            "kept": {"swap": True, "exclusive": False, "persistent": True, "members": ["p"]},
        }
    )
    for name in ("p", "a", "b"):
        assert corral.chat(name).status == 200
    assert corral.running() == {"p": "ready", "a": "ready", "b": "ready"}
    assert corral.chat("c").status == 200
    assert corral.running() == {"p": "ready", "c": "ready"}
    ports = [corral.get(f"/upstream/{name}/x").status for name in ("p", "c")]
    assert ports == [200, 200]


def test_a_matrix_keeps_what_one_of_its_sets_allows(yard):
    """With a matrix two models coexist, the third makes one of them leave, and a model in no set
    runs alone."""
    for name in ("a", "b", "c", "loner"):
        yard.engine(name)
    corral = yard.serve(
        matrix={"vars": {"x": "b"}, "evict_costs": {"c": 5}, "sets": {"pair": "(a | x) & c"}},
    )
    for name in ("a", "c"):
        assert corral.chat(name).status == 200
    assert corral.running() == {"a": "ready", "c": "ready"}
    assert corral.chat("b").status == 200
    assert corral.running() == {"b": "ready", "c": "ready"}
    assert corral.chat("c").status == 200
    assert len(yard.engines["c"].starts) == 1  # it never left
    assert corral.chat("loner").status == 200
    assert corral.running() == {"loner": "ready"}


def test_a_matrix_swap_waits_for_the_requests_in_flight(yard):
    """What has to go ends its answers first; what may stay goes on serving meanwhile."""
    a, b, c = yard.engine("a", gate=True), yard.engine("b"), yard.engine("c")
    corral = yard.serve(matrix={"sets": {"pair": "(a | b) & c"}})
    assert corral.chat("c").status == 200
    held = stream_and_hold(corral, a)
    with corral.connect() as waiting:
        waiting.send(ask("b"))
        # One loop serves both as they arrive: when c has answered, b was asked for.
        assert corral.chat("c").status == 200
        assert corral.running() == {"a": "ready", "c": "ready"} and b.starts == []
        assert finish(*held, a).complete
        assert waiting.read_response().json()["model"] == "b"
    assert corral.running() == {"b": "ready", "c": "ready"} and len(c.starts) == 1


def test_the_ttl_counts_from_the_end_of_the_last_response(yard):
    """A long answer does not use the idle time up, and looking at Corral does not prolong it."""
    engine = yard.engine("a", {"ttl": 2}, gate=True)
    corral = yard.serve()
    held = stream_and_hold(corral, engine)
    wait_briefly(3)
    assert corral.running() == {"a": "ready"}
    assert finish(*held, engine).complete
    assert corral.running() == {"a": "ready"}

    def unloaded():  # the polls themselves must not keep the model
        corral.get("/health"), corral.get("/v1/models")
        return corral.running() == {}

    poll_until(unloaded, 15, "the model to be unloaded by its TTL")
    assert not is_alive(engine.starts[0])
    engine.open_gate(10)
    assert corral.chat("a").status == 200
    assert len(engine.starts) == 2


@pytest.mark.parametrize("path", ["/api/models/unload", "/api/models/unload/org/a"])
def test_unload_by_api_stops_the_model(yard, path):
    """When the answer is there the process is gone; the next request starts it again."""
    engine = yard.engine("org/a", {"aliases": ["x"]})
    corral = yard.serve()
    corral.chat("org/a")
    answer = corral.post(path)
    assert answer.status == 200, answer
    assert not is_alive(engine.starts[0])
    assert corral.running() == {}
    assert corral.post(path).status == 200, "unloading what does not run is no mistake"
    assert corral.chat("x").status == 200
    assert corral.post("/api/models/unload/x").status == 200
    assert corral.running() == {}


def test_unloading_an_unknown_model_is_404(yard):
    """A wrong name is told, and harms nobody."""
    yard.engine("a")
    corral = yard.serve()
    corral.chat("a")
    answer = corral.post("/api/models/unload/nobody")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert corral.running() == {"a": "ready"}


def test_unload_lets_the_stream_in_flight_end(yard):
    """Unload drains, and meanwhile other models answer as ever."""
    a, b = yard.engine("a", gate=True), yard.engine("b")
    corral = yard.serve(groups=yard.together())
    held = stream_and_hold(corral, a)
    with corral.connect() as unloading:
        unloading.send(make_request("POST", "/api/models/unload/a"))
        for _ in range(3):
            assert corral.chat("b").status == 200
        assert is_alive(a.starts[0])
        assert finish(*held, a).complete
        assert unloading.read_response().status == 200
    assert not is_alive(a.starts[0])
    assert corral.running() == {"b": "ready"}
    assert len(b.starts) == 1


def test_unload_while_starting_answers_everyone_who_waits(yard):
    """A model that is still loading is stopped at once and its waiters are told."""
    engine = yard.engine("a", load_until=yard.folder / "never")
    corral = yard.serve()
    with corral.connect() as waiting:
        waiting.send(ask("a"))
        corral.wait_for_state("a", "starting")
        poll_until(lambda: engine.starts, what="the engine to start")
        assert corral.post("/api/models/unload/a").status == 200
        answer = waiting.read_response()
    assert answer.status == 503, answer
    assert answer.error["code"]
    assert not is_alive(engine.starts[0])


def test_models_load_brings_a_model_up(yard):
    """POST /models/load is llama.cpp's router call for it."""
    engine = yard.engine("a", {"aliases": ["x"]})
    corral = yard.serve()
    answer = corral.post("/models/load", {"model": "x"})
    assert answer.status == 200, answer
    assert answer.json()["success"] is True
    corral.wait_for_state("a", "ready")
    assert len(engine.starts) == 1
    missing = corral.post("/models/load", {"model": "nobody"})
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")
    assert corral.post("/models/load", {}).status in (400, 404)


@pytest.mark.parametrize("how,told", [({}, "exit status 3"), ({"signal": 9}, "signal 9")])
def test_a_start_that_fails_is_502_with_the_reason(yard, how, told):
    """Who waits learns how the child ended and what it said last, but not its command line."""
    engine = yard.engine("a", die_at_start=3, stderr="first line\\nlast words of a model\\n", **how)
    yard.engine("b")
    corral = yard.serve()
    answer = corral.chat("a")
    assert answer.status == 502, answer
    error = answer.error
    assert error["type"] == "server_error"
    assert told in error["message"]
    assert "last words of a model" in error["message"]
    assert "--die-at-start" not in error["message"] and str(yard.folder) not in error["message"]
    assert len(engine.starts) == 1
    assert corral.running() == {}
    assert corral.chat("b").status == 200, "one model's trouble is its own"


def test_everyone_who_waits_for_a_failing_start_is_answered(yard):
    """Several requests joined a load that fails: all get the 502, none hangs."""
    yard.engine("a", load="300s", die_after="500ms", exit_code=5)
    corral = yard.serve()
    connections = [corral.connect() for _ in range(5)]
    for connection in connections:
        connection.send(ask("a"))
    for connection in connections:
        answer = connection.read_response()
        assert answer.status == 502 and "exit status 5" in answer.error["message"]
        connection.close()


def test_a_program_that_does_not_exist_is_502(yard):
    """The message names the program that is missing."""
    corral = yard.serve(
        {"models": {"a": {"cmd": "/no/such/llama-server -m x --port ${PORT} --api-key sk-secret"}}}
    )
    answer = corral.chat("a")
    assert answer.status == 502, answer
    assert "/no/such/llama-server" in answer.error["message"]
    assert "sk-secret" not in answer.error["message"]


@pytest.mark.parametrize(
    "script",
    [
        {"never_listen": True},
        {"accept_and_hang": True},
        {"load": "600s"},
        {"health_status": 500},
        {"never_listen": True, "ignore_term": True},
    ],
    ids=str,
)
def test_a_model_that_is_never_ready_is_502_at_its_deadline(yard, script):
    """healthCheckTimeout ends every wait, a health endpoint that never answers included."""
    engine = yard.engine("a", {"healthCheckTimeout": 1, "unloadTimeout": 1}, **script)
    corral = yard.serve(healthCheckTimeout=1)
    answer = corral.chat("a", deadline=60)
    assert answer.status == 502, answer
    assert answer.error["type"] == "server_error"
    poll_until(lambda: not is_alive(engine.starts[0]), what="the engine to be ended")
    assert corral.get("/health").status == 200


def test_a_model_that_listens_late_is_waited_for(yard):
    """A refused probe means not yet, not never."""
    yard.engine("a", listen_late="400ms", load="300ms")
    assert yard.serve().chat("a").status == 200


def test_check_endpoint_none_waits_for_the_port(yard):
    """Without a health endpoint a model is ready when it listens."""
    engine = yard.engine("a", {"checkEndpoint": "none"}, listen_late="300ms", health_status=500)
    assert yard.serve().chat("a").status == 200
    assert len(engine.starts) == 1


def test_a_client_that_leaves_the_queue_does_not_cancel_the_load_of_others(yard):
    """The load goes on for those who still wait."""
    loaded = yard.folder / "loaded"
    engine = yard.engine("a", load_until=loaded)
    corral = yard.serve()
    with corral.connect() as staying:
        with corral.connect() as leaving:
            leaving.send(ask("a"))
            corral.wait_for_state("a", "starting")
            staying.send(ask("a"))
        loaded.touch()
        assert staying.read_response().status == 200
    assert (len(engine.starts), engine.count("request")) == (1, 1)


def test_a_ready_model_that_dies_is_started_by_the_next_request(yard):
    """A crash while idle costs one start, not the service."""
    engine = yard.engine("a")
    corral = yard.serve()
    corral.chat("a")
    os.kill(engine.starts[0], signal.SIGKILL)
    poll_until(lambda: corral.running() == {}, what="the death to be noticed")
    assert corral.chat("a").status == 200
    assert len(engine.starts) == 2


def test_the_concurrency_limit_is_429_with_retry_after(yard):
    """More than concurrencyLimit at once: told to come back, in llama-swap's shape."""
    engine = yard.engine("a", {"concurrencyLimit": 2}, gate=True)
    corral = yard.serve()
    first, second = begin(corral, engine), begin(corral, engine)
    answer = corral.chat("a")
    assert answer.status == 429, answer
    assert int(answer.field("Retry-After")) >= 1
    assert answer.error["type"] == "rate_limit_error"
    assert answer.error["code"] == "concurrency_limit"
    engine.open_gate(100)
    for connection, response in (first, second):
        connection.read_body(response)
        assert response.complete
        connection.close()
    assert corral.chat("a").status == 200


def test_a_port_that_is_taken_is_not_used(yard):
    """${PORT} is proved free before the launch: a stranger on it must not answer for the model."""
    engine = yard.engine("a")
    with socket.create_server(("127.0.0.1", yard.ports.start)):  # the first port of the config
        corral = yard.serve()
        answer = corral.chat("a", deadline=30)
        assert (answer.status, answer.json()["model"]) == (200, "a")
    assert len(engine.starts) == 1


def test_children_inherit_no_descriptor_and_only_the_environment_meant_for_them(yard):
    """A model must not hold Corral's sockets (it could keep the port) nor see systemd's sockets."""
    engine = yard.engine("a", {"env": ["MODEL_SAYS=hello world"]})
    corral = yard.serve()
    with corral.connect() as held:
        assert held.request("GET", "/health").status == 200
        corral.chat("a")
        (pid,) = engine.starts
        ours = set(open_descriptors(corral.server_pid).values())
        theirs = {fd: to for fd, to in open_descriptors(pid).items() if to.startswith("socket:")}
        assert not ours & set(theirs.values()), theirs
    environ = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
    assert b"MODEL_SAYS=hello world" in environ
    assert not [e for e in environ if e.startswith((b"NOTIFY_SOCKET", b"LISTEN_", b"WATCHDOG_"))]


@pytest.mark.parametrize("script", ["stdout_flood", "endless_line"])
def test_a_child_that_floods_its_output_delays_nobody(yard, script):
    """Output is drained for ever and kept in bounded memory; a full pipe never stops a child."""
    engine = yard.engine("a", **{script: True, "flood_for": "2s"})
    yard.engine("b")
    corral = yard.serve(groups=yard.together())
    assert corral.chat("a").status == 200
    while engine.count("flooded") == 0:
        assert corral.chat("b").status == 200
    assert corral.chat("a").status == 200
    assert resident_bytes(corral.server_pid) < 400 << 20  # a sanitizer's memory included


def test_a_child_that_closes_its_pipes_is_not_taken_for_dead(yard):
    """End of output is not the end of the process."""
    engine = yard.engine("a", close_pipes=True)
    corral = yard.serve()
    for _ in range(3):
        assert corral.chat("a").status == 200
    assert len(engine.starts) == 1


def test_many_swaps_leave_no_descriptor_and_no_zombie(yard):
    """What a swap opens it closes, and every child is reaped."""
    yard.engine("a"), yard.engine("b")
    corral = yard.serve()
    assert corral.chat("a").status == 200 and corral.chat("b").status == 200
    before = len(open_descriptors(corral.server_pid))
    for _ in range(15):
        assert corral.chat("a").status == 200 and corral.chat("b").status == 200
    poll_until(  # connections to a model that has gone may idle for a moment
        lambda: len(open_descriptors(corral.server_pid)) <= before, what="descriptors to be closed"
    )
    poll_until(lambda: not zombies_of(corral.server_pid), what="zombies to be reaped")


def test_a_request_during_an_unload_gets_the_next_start(yard):
    """The old process still dies while a new request comes: it waits, and is answered."""
    engine = yard.engine("a", {"unloadTimeout": 1}, ignore_term=True)
    corral = yard.serve()
    corral.chat("a")
    with corral.connect() as unloading:
        unloading.send(make_request("POST", "/api/models/unload/a"))
        corral.wait_for_state("a", "stopping")
        assert corral.chat("a").status == 200
        assert unloading.read_response().status == 200
    assert len(engine.starts) == 2 and not is_alive(engine.starts[0])


def test_a_swap_to_a_model_that_fails_does_not_block_the_way_back(yard):
    """The evicted model returns with its next request, as often as it takes."""
    a = yard.engine("a")
    yard.engine("bad", die_at_start=1)
    corral = yard.serve()
    for turn in range(3):
        assert corral.chat("a").status == 200
        assert corral.post("/api/models/reset/bad").status == 200  # or it would cool down: 503
        assert corral.chat("bad").status == 502
        assert len(a.starts) <= turn + 1
    assert corral.chat("a").status == 200


def test_requests_for_many_models_at_once_are_all_answered(yard):
    """Six models that exclude each other, sixty requests at once: every one gets its own model."""
    names = [f"m{number}" for number in range(6)]
    for name in names:
        yard.engine(name)
    corral = yard.serve()
    connections = [(name, corral.connect(60)) for name in names * 10]
    for name, connection in connections:
        connection.send(ask(name))
    for name, connection in connections:
        answer = connection.read_response()
        assert (answer.status, answer.json()["model"]) == (200, name)
        connection.close()
    assert len(corral.running()) == 1


class SteadyStream:
    """Requests for one gated engine of which one is in flight at every moment, as far as Corral
    lets them through: the next one comes before the last one ends."""

    def __init__(self, corral, engine):
        self.corral, self.engine = corral, engine
        self.answering = self.send()
        poll_until(lambda: engine.count("request") == 1, what="the first request")

    def send(self):
        connection = self.corral.connect(60)
        connection.send(ask(self.engine.name))
        return connection

    def end(self, *connections):
        """Lets one answer out and returns who has to wait on: of two either may get it."""
        self.engine.open_gate()
        answered = []

        def has_answered():
            answered[:] = [one for one in connections if one.has_bytes_within(0.01)]
            return answered

        poll_until(has_answered, 30, "an answer")
        with answered[0] as connection:
            assert connection.read_response().status == 200
        return [one for one in connections if one is not connection]

    def waiting(self):
        models = self.corral.get("/api/models").json()["models"]
        return next(one["waiting"] for one in models if one["id"] == self.engine.name)

    def go_on(self):
        """One more request; returns it when it has to wait, and leaves the last one in flight."""
        before, newer = self.engine.count("request"), self.send()
        poll_until(
            lambda: self.engine.count("request") > before or self.waiting() > 0, 30, "a decision"
        )
        if self.engine.count("request") == before:
            return newer
        (self.answering,) = self.end(self.answering, newer)
        return None


def test_a_steady_stream_keeps_another_model_waiting_for_max_wait_only(yard):
    """Guards: who has waited for limits.maxWait is overtaken no more: the running model takes no
    new request, ends those that it has, and comes back when the other has had its turn."""
    a, b = yard.engine("a", gate=True), yard.engine("b")
    corral = yard.serve(limits={"maxWait": "1s"})
    stream = SteadyStream(corral, a)
    with corral.connect(60) as waiting:
        waiting.send(ask("b"))
        held_back = []

        def has_to_wait():
            held_back.append(stream.go_on())
            return held_back[-1] is not None

        poll_until(has_to_wait, 60, "the stream to be held back")
        assert b.starts == [] and is_alive(a.starts[0]), "what is in flight ends first"
        stream.end(stream.answering)
        assert waiting.read_response().json()["model"] == "b"
    stream.end(held_back[-1])
    assert (len(a.starts), len(b.starts)) == (2, 1)


def test_until_max_wait_requests_for_the_running_model_overtake(yard):
    """Guards: before that time nobody unloads a model that is in use, however long another one
    waits; when it is in use no more, the other one has its turn at once."""
    a, b = yard.engine("a", gate=True), yard.engine("b")
    corral = yard.serve(limits={"maxWait": "1h"})
    stream = SteadyStream(corral, a)
    with corral.connect(60) as waiting:
        waiting.send(ask("b"))
        for _ in range(30):
            assert stream.go_on() is None
        assert b.starts == [] and len(a.starts) == 1
        stream.end(stream.answering)
        assert waiting.read_response().json()["model"] == "b"
    assert corral.running() == {"b": "ready"}
