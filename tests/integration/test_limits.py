"""Every limit of the config holds: who is too slow, too large or too many gets a clean answer or a
closed connection, and everybody else is served meanwhile."""

import signal
import socket

import pytest
from corral_harness import poll_until
from corral_http import make_request
from corral_processes import is_alive

ASK = make_request("POST", "/v1/completions", {"model": "a"})


def serve(yard, engine=None, **limits):
    yard.engine("a", **(engine or {}))
    return yard.serve(limits=limits)


@pytest.mark.parametrize("sent", [b"", b"POST /v1/comp", b"POST /v1/completions HTTP/1.1\r\nX: "])
def test_a_head_that_does_not_end_ends_the_connection(yard, sent):
    """headTimeout (RFC 9112 §9.5): a client that never finishes its head holds no connection."""
    corral = serve(yard, headTimeout="300ms", keepAliveTimeout="300ms")
    with corral.connect() as connection:
        connection.send(sent)
        assert connection.read_until_closed()[:12] in (b"", b"HTTP/1.1 408")


def test_a_head_that_trickles_does_not_live_longer(yard):
    """Slowloris: the deadline is for the whole head, single bytes do not prolong it."""
    corral = serve(yard, headTimeout="500ms")
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 10_000
    with corral.connect() as connection:

        def closed():
            nonlocal head
            connection.try_send(head[:1])
            head = head[1:]
            return connection.is_closed()

        poll_until(closed, 15, "the slow client to be cut off")
    assert corral.get("/health").status == 200


def test_a_client_that_never_begins_has_the_time_of_a_head(yard):
    """headTimeout, from the connection on: who says nothing at all does not get the longer time of
    one that has been served."""
    corral = serve(yard, headTimeout="300ms", keepAliveTimeout="1h")
    with corral.connect() as connection:
        assert connection.read_until_closed() == b""


def test_a_body_that_trickles_ends_too(yard):
    """bodyRateMin after bodyRateAfter: each byte comes in time, and the whole never would."""
    limits = {"bodyIdleTimeout": "1h", "bodyRateMin": 1000, "bodyRateAfter": "500ms"}
    corral = serve(yard, **limits)
    assert corral.chat("a").status == 200
    for begun in (b'{"model":"a","prompt":"', b'{"prompt":"'):  # the model known, or not yet
        with corral.connect() as connection:
            fields = [("Content-Length", "100000")]
            connection.send(make_request("POST", "/v1/completions", begun, fields))

            def ended():
                connection.try_send(b"x")
                return connection.is_closed()

            poll_until(ended, 20, "the trickling client to be cut off")
            assert connection.buffer[:12] in (b"", b"HTTP/1.1 408")
    # One that is fast enough is not hurried, and time in which nobody waits for it does not count.
    assert corral.post("/v1/completions", {"model": "a", "prompt": "x" * 500_000}).status == 200


def test_a_model_that_does_not_begin_to_answer_is_504(yard):
    """responseHeaderTimeout: for models without a time-out of their own, which goes before it."""
    yard.engine("a", gate=True)
    yard.engine("b", {"timeouts": {"responseHeader": 3600}}, gate=True)
    corral = yard.serve(limits={"responseHeaderTimeout": "300ms"}, groups=yard.together())
    answer = corral.post("/v1/completions", {"model": "a"})
    assert answer.status == 504, answer
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "b"}))
        assert not connection.has_bytes_within(1.0)
        yard.engines["b"].open_gate(100)
        assert connection.read_response().status == 200


@pytest.mark.parametrize("model_first", [True, False])
def test_a_body_that_stalls_ends_the_connection(yard, model_first):
    """bodyIdleTimeout: before and after the model is known, silence in an upload has an end."""
    corral = serve(yard, bodyIdleTimeout="300ms")
    assert corral.chat("a").status == 200
    body = b'{"model":"a","prompt":"' if model_first else b'{"prompt":"'
    with corral.connect() as connection:
        fields = [("Content-Length", "100000")]
        connection.send(make_request("POST", "/v1/completions", body, fields))
        assert connection.read_until_closed()[:12] in (b"", b"HTTP/1.1 408")
    assert corral.chat("a").status == 200


def test_an_idle_connection_is_closed(yard):
    """keepAliveTimeout: a connection between two requests does not stay for ever."""
    corral = serve(yard, keepAliveTimeout="300ms")
    with corral.connect() as connection:
        assert connection.request("GET", "/health").status == 200
        assert connection.read_until_closed() == b""


def test_a_long_answer_is_not_idleness(yard):
    """No time-out of the client's side ends a stream whose model thinks for a while."""
    yard.engine("a", gate=True)
    short = dict.fromkeys(["headTimeout", "bodyIdleTimeout", "keepAliveTimeout"], "200ms")
    corral = yard.serve(limits=short)
    engine = yard.engines["a"]
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a", "stream": True}))
        engine.open_gate()
        response = connection.read_head()
        connection.read_chunk()
        assert not connection.has_bytes_within(1.0)
        engine.open_gate(100)
        connection.read_body(response)
    assert response.complete


def test_a_client_that_takes_nothing_is_cut_off(yard):
    """writeTimeout: a reader that stopped reading does not hold its model for ever."""
    raw = yard.folder / "raw"
    size = 64 << 20
    raw.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    engine = yard.engine("a", raw_response=raw)
    corral = yard.serve(limits={"writeTimeout": "500ms"})
    with corral.connect() as connection:
        connection.send(ASK)
        poll_until(lambda: engine.count("client-gone") == 1, 20, "the upstream to be let go")
        assert len(connection.read_until_closed()) < size


def test_a_body_too_large_to_hold_is_413(yard):
    """bodyBuffered: what must be held until the model is known has a limit, by length and by
    chunks; once the model is known there is none."""
    corral = serve(yard, bodyBuffered="64KiB")
    big = b'{"prompt":"' + b"x" * 200_000 + b'","model":"a"}'
    with corral.connect() as connection:
        connection.try_send(make_request("POST", "/v1/completions", big))
        answer = connection.read_response()
    assert answer.status == 413, answer
    assert answer.error["type"] == "invalid_request_error"
    chunks = b"".join(b"1000\r\n" + big[i : i + 4096] + b"\r\n" for i in range(0, 196_608, 4096))
    with corral.connect() as connection:
        fields = [("Transfer-Encoding", "chunked")]
        connection.try_send(make_request("POST", "/v1/completions", chunks, fields))
        assert connection.read_response().status == 413
    assert yard.engines["a"].recorded == b""
    early = b'{"model":"a","prompt":"' + b"x" * 200_000 + b'"}'
    assert corral.post("/v1/completions", early).status == 200


def test_held_bodies_of_all_requests_together_are_limited(yard):
    """bodyBufferedTotal: many large bodies at once are refused with 503, one is not."""
    corral = serve(yard, bodyBuffered="1MiB", bodyBufferedTotal="1500KiB")
    first = b'{"prompt":"' + b"x" * 900_000
    with corral.connect() as one, corral.connect() as two:
        fields = [("Content-Length", "950000")]
        one.send(make_request("POST", "/v1/completions", first, fields))
        two.try_send(make_request("POST", "/v1/completions", first, fields))
        refused = poll_until(
            lambda: [c for c in (one, two) if c.is_closed() or c.buffer], what="a refusal"
        )
        answer = refused[0].read_response()
        assert answer.status == 503 and int(answer.field("Retry-After")) >= 1
    poll_until(  # what the two held is free again
        lambda: corral.post("/v1/completions", first + b'","model":"a"}').status == 200,
        what="a large request alone to be served",
    )


def test_more_requests_than_may_wait_are_503_with_retry_after(yard):
    """waitingPerModel: a queue has an end, and who finds it full is told to come back."""
    loaded = yard.folder / "loaded"
    engine = yard.engine("a", {"concurrencyLimit": 100}, load_until=loaded)
    corral = yard.serve(limits={"waitingPerModel": 3})
    waiting = []
    try:
        for number in range(3):
            waiting.append(corral.connect())
            waiting[-1].send(ASK)
        corral.wait_for_state("a", "starting")
        poll_until(lambda: engine.starts, what="the engine to start")

        def refused():
            with corral.connect(2) as connection:
                connection.send(ASK)
                if not connection.has_bytes_within(0.5):
                    return None
                return connection.read_response()

        answer = poll_until(refused, what="a refusal")
        assert answer.status == 503, answer
        assert int(answer.field("Retry-After")) >= 1
        assert answer.error["type"] == "server_error"
        loaded.touch()
        assert [c.read_response().status for c in waiting] == [200, 200, 200]
    finally:
        for connection in waiting:
            connection.close()


def test_more_connections_than_allowed_wait_or_are_refused_and_come_in_later(yard):
    """connections: the limit holds, and a place that becomes free is used."""
    corral = serve(yard, connections=4)
    held = [corral.connect() for _ in range(4)]
    for connection in held:
        assert connection.request("GET", "/health").status == 200
    with corral.connect() as fifth:
        fifth.try_send(make_request("GET", "/health"))
        if fifth.has_bytes_within(0.5):
            assert fifth.read_until_closed()[:12] in (b"", b"HTTP/1.1 503")
    for connection in held:
        connection.close()

    def served():
        try:
            return corral.get("/health").status == 200
        except Exception:  # noqa: BLE001 - refused or cut: not yet
            return False

    poll_until(served, what="a free place")


def test_a_full_house_answers_503_with_retry_after(yard):
    """connections: who comes too many is told at once, however many they are, and nobody who has a
    seat is disturbed."""
    corral = serve(yard, connections=2)
    held = [corral.connect() for _ in range(2)]
    for connection in held:
        assert connection.request("GET", "/health").status == 200
    body = make_request("POST", "/v1/completions", {"model": "a", "prompt": "x" * 100_000})
    for request in (make_request("GET", "/health"), body):
        with corral.connect() as extra:
            extra.send(request)
            answer = extra.read_response()
            assert answer.status == 503, answer
            assert int(answer.field("Retry-After")) >= 1
            assert answer.field("Connection") == "close"
            assert answer.error["type"] == "server_error"
            assert extra.read_until_closed() == b""
    many = [corral.connect() for _ in range(200)]  # more than may stand for an answer
    try:
        told = poll_until(
            lambda: [c for c in many if c.is_closed() and c.buffer], what="refusals at once"
        )
        for connection in told:
            assert connection.read_response().status == 503
    finally:
        for connection in many:
            connection.close()
    for connection in held:
        assert connection.request("GET", "/health").status == 200
        connection.close()
    assert yard.engines["a"].starts == []
    assert corral.log.count("limits.connections is reached") < 5


def test_who_stands_for_an_answer_stands_briefly(yard):
    """connections: who has no seat and says nothing is let go soon, whatever the limits."""
    corral = serve(yard, connections=1, headTimeout="1h", keepAliveTimeout="1h")
    with corral.connect() as seated:
        assert seated.request("GET", "/health").status == 200
        with corral.connect() as standing:
            assert standing.read_until_closed() == b""
            assert seated.request("GET", "/health").status == 200


def test_one_address_has_a_limit_of_its_own(yard):
    """connectionsPerPeer: one client that takes too many leaves the others their seats."""
    corral = serve(yard, connectionsPerPeer=2)
    held = [corral.connect() for _ in range(2)]
    for connection in held:
        assert connection.request("GET", "/health").status == 200
    answer = corral.get("/health")
    assert answer.status == 503 and int(answer.field("Retry-After")) >= 1
    assert "limits.connectionsPerPeer" in answer.error["message"]
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        other.settimeout(20)
        other.connect(("127.0.0.1", corral.port))
        other.sendall(make_request("GET", "/health"))
        assert other.recv(4096).startswith(b"HTTP/1.1 200")
    for connection in held:
        connection.close()
    poll_until(lambda: corral.get("/health").status == 200, what="a free place")


def test_a_trusted_proxy_has_no_limit_of_its_own(yard):
    """connectionsPerPeer: behind one address of a proxy of ours are many clients."""
    yard.engine("a")
    corral = yard.serve(limits={"connectionsPerPeer": 2}, trustedProxies=["127.0.0.1"])
    held = [corral.connect() for _ in range(5)]
    for connection in held:
        assert connection.request("GET", "/health").status == 200
        connection.close()


def test_after_an_unread_body_the_connection_ends_and_not_by_a_reset(yard):
    """RFC 9112 §9.6: the answer arrives though the client still sends; the drain is short."""
    corral = serve(yard)
    with corral.connect() as connection:
        fields = [("Content-Length", str(1 << 30))]
        connection.send(make_request("POST", "/nowhere", b"x" * 1000, fields))
        answer = connection.read_response()
        assert answer.status == 404 and answer.field("Connection") == "close"

        def ended():
            return not connection.try_send(b"x" * 65536) or connection.is_closed()

        poll_until(ended, 20, "the end of the drain")


def test_the_drain_at_sigterm_has_an_end(yard):
    """shutdownGrace: a stream that never ends does not keep Corral from ending."""
    engine = yard.engine("a", gate=True)
    corral = yard.serve(limits={"shutdownGrace": "1s"})
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a", "stream": True}))
        engine.open_gate()
        response = connection.read_head()
        corral.signal(signal.SIGTERM)
        corral.wait(20)
        connection.read_body(response)
        assert not response.complete
    assert not any(map(is_alive, engine.pids))


KEYED = {"apiKeys": ["sk-first", "sk-second"]}


@pytest.mark.parametrize(
    "fields,status",
    [
        ([], 401),
        ([("Authorization", "Bearer sk-first")], 200),
        ([("authorization", "bearer sk-second")], 200),
        ([("x-api-key", "sk-first")], 200),
        ([("Authorization", "Basic dXNlcjpzay1maXJzdA==")], 200),
        ([("Authorization", "Bearer sk-firs")], 401),
        ([("Authorization", "Bearer sk-first2")], 401),
        ([("Authorization", "Bearer ")], 401),
        ([("Authorization", "Bearer")], 401),
        ([("Authorization", "Basic !!!")], 401),
        ([("x-api-key", "")], 401),
        ([("Authorization", "Bearer wrong"), ("x-api-key", "sk-first")], 401),
    ],
)
def test_api_keys_open_the_door_in_every_usual_form(yard, fields, status):
    """With apiKeys a key is needed, as Bearer, x-api-key or Basic password; a part is no key."""
    yard.engine("a")
    corral = yard.serve(**KEYED)
    answer = corral.post("/v1/completions", {"model": "a"}, fields=fields)
    assert answer.status == status, answer
    if status == 401:
        assert answer.error["type"] == "authentication_error"
        assert "Basic" in answer.field("WWW-Authenticate")
        assert yard.engines["a"].starts == []


def test_with_api_keys_only_health_is_open(yard):
    """Everything but the liveness check needs the key, other spellings of a path included."""
    yard.engine("a")
    corral = yard.serve(**KEYED)
    assert corral.get("/health").status == 200
    for method, path in [
        ("GET", "/v1/models"),
        ("GET", "/running"),
        ("POST", "/api/models/unload"),
        ("POST", "/api/models/unload/a"),
        ("POST", "/models/load"),
        ("GET", "/upstream/a/x"),
        ("HEAD", "/v1/models"),
    ]:
        with corral.connect() as connection:
            assert connection.request(method, path).status == 401, (method, path)
    for path in ("//running", "/RUNNING", "/%72unning", "/v1/../running", "/running;x"):
        assert corral.get(path).status in (301, 307, 308, 400, 401, 404), path


def test_keys_appear_nowhere(yard):
    """A key is in no log line, no error body and no child's environment or command line."""
    yard.engine("a")
    corral = yard.serve(apiKeys=["sk-canary-7"])
    bearer = [("Authorization", "Bearer sk-canary-7")]
    corral.post("/v1/completions", {"model": "a"}, fields=bearer)
    answers = [corral.get("/running", fields=bearer), corral.get("/nope", fields=bearer)]
    answers.append(corral.post("/v1/completions", {"model": "b"}, fields=bearer))
    for answer in answers:
        assert b"sk-canary" not in answer.body
    assert "sk-canary" not in corral.log + corral.output
    (pid,) = yard.engines["a"].starts
    for name in ("environ", "cmdline"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            assert b"sk-canary" not in file.read()
