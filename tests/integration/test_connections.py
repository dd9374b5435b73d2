"""Connections to upstreams: kept and used again where that is safe, ended where they are not."""

import os
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from corral_harness import FAKE_ENGINE, poll_until, run_corral
from corral_http import chunked, make_request
from corral_origin import Origin, chunk, echo, response, stream_head
from corral_processes import is_alive

PEER_REQUEST = {"model": "pm"}
TIME_WAIT, KEEPALIVE_TIMER = "06", "02"


def serve(yard, upstream, timeouts=None, **engine):
    """Corral with an engine `a`, a model `m` at the upstream, and a peer there."""
    yard.engine("a")
    yard.engine("m", {"proxy": upstream.url(), **engine})
    peer = {"proxy": upstream.url(), "models": ["pm"], "timeouts": timeouts or {}}
    return yard.serve(peers={"p1": peer}, groups=yard.together())


def sockets_to(port):
    """The lines of /proc/net/tcp for our side of connections to this port, split into fields."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [fields for line in lines if (fields := line.split())[2].endswith(f":{port:04X}")]


def waiting_to(port):
    """How many of them are in TIME_WAIT."""
    return sum(fields[3] == TIME_WAIT for fields in sockets_to(port))


def open_to(port):
    """Those that are not: a port may have had another life in the minute before."""
    return [fields for fields in sockets_to(port) if fields[3] != TIME_WAIT]


def test_many_requests_share_few_connections_and_leave_no_port_behind(yard):
    """Guards: 2,000 requests through a peer and through a model use the connections again, and
    nothing is left in TIME_WAIT on our side, idle connections that were dropped included."""
    with Origin() as upstream:
        before = waiting_to(upstream.port)
        corral = serve(yard, upstream, timeouts={"idleConn": 1})
        accepts = {}

        def ask(model):
            with corral.connect() as connection:
                for _ in range(250):
                    answer = connection.request("POST", "/v1/completions", {"model": model})
                    assert answer.status == 200, answer
                    with lock:
                        accepts[model].add(answer.json()["connection"])

        lock, failures = threading.Lock(), []
        for model in ("pm", "m"):
            accepts[model] = set()

            def run():
                try:
                    ask(model)
                except BaseException as error:  # noqa: BLE001 - shown by the assertion below
                    failures.append(error)

            threads = [threading.Thread(target=run) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failures == []
            assert len(accepts[model]) <= 8
        assert len(upstream.requests) == 2_000
        poll_until(lambda: upstream.ended == upstream.accepts, what="idle connections to be ended")
        assert waiting_to(upstream.port) <= before + 2


def test_an_answer_that_ends_its_connection_leaves_no_port_behind(yard):
    """Guards: a server that keeps nothing open costs no port of ours either."""
    with Origin(lambda request, connection: connection.send(
            response(b"{}", fields=["Connection: close"]))) as upstream:
        before = waiting_to(upstream.port)
        corral = serve(yard, upstream)
        with corral.connect() as connection:
            for model in ["pm", "m"] * 50:
                assert connection.request("POST", "/v1/completions", {"model": model}).status == 200
        assert upstream.accepts >= 100
        assert waiting_to(upstream.port) <= before + 2


@pytest.mark.parametrize("model", ["pm", "m"])
def test_a_kept_connection_that_broke_costs_no_request(yard, model):
    """Guards: one transparent retry, on a new connection, when the server has dropped the kept one
    just as the request came and gave no byte of an answer."""

    def answer(request, connection):
        if connection.requests > 1:
            connection.close()
        else:
            echo(request, connection)

    with Origin(answer) as upstream:
        corral = serve(yard, upstream, checkEndpoint="none")
        first = corral.post("/v1/completions?1", {"model": model}).json()["connection"]
        second = corral.post("/v1/completions?2", {"model": model})
        assert second.status == 200, second
        assert second.json()["connection"] != first
        targets = [request.target.split("?")[1] for request in upstream.requests]
        assert targets == ["1", "2", "2"]


def test_a_new_connection_that_breaks_is_an_error_at_once(yard):
    """Guards: a peer that dies of a request does not get it twice."""
    with Origin(lambda request, connection: connection.close()) as upstream:
        corral = serve(yard, upstream)
        answer = corral.post("/v1/completions", PEER_REQUEST)
        assert answer.status == 502
        assert answer.error["message"].startswith("peer proxy error: p1: ")
        assert len(upstream.requests) == 1


def test_an_answer_that_had_begun_is_not_asked_for_again(yard):
    """Guards: after the first byte of an answer a request is never repeated."""

    def answer(request, connection):
        if connection.requests > 1:
            connection.send(b"HTTP/1.1 2")
            connection.close()
        else:
            echo(request, connection)

    with Origin(answer) as upstream:
        corral = serve(yard, upstream)
        assert corral.post("/v1/completions", PEER_REQUEST).status == 200
        assert corral.post("/v1/completions", PEER_REQUEST).status == 502
        assert len(upstream.requests) == 2


def test_a_body_that_cannot_be_sent_again_gets_a_new_connection(yard):
    """Guards: what is not held whole never depends on a kept connection being alive."""
    with Origin() as upstream:
        corral = serve(yard, upstream)
        first = corral.post("/v1/completions", PEER_REQUEST).json()["connection"]
        with corral.connect() as connection:
            connection.send(make_request("POST", "/v1/completions", chunked(b'{"model":"pm",')[:-5],
                                         fields=[("Transfer-Encoding", "chunked")]))
            poll_until(lambda: upstream.accepts > first, what="a new connection")
            connection.send(chunk(b'"x":1}') + b"0\r\n\r\n")
            assert connection.read_response().json()["connection"] != first


def test_a_connection_with_anything_unexpected_is_not_used_again(yard):
    """Guards: bytes behind an answer never become the next one's."""

    def answer(request, connection):
        connection.send(response(b"{}") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    with Origin(answer) as upstream:
        corral = serve(yard, upstream)
        for _ in range(3):
            assert corral.post("/v1/completions", PEER_REQUEST).body == b"{}"
        assert upstream.accepts == 3


def test_idle_connections_of_a_peer_end_in_time(yard):
    """Guards: timeouts.idleConn; without it they stay, so that only that time ends them here."""
    with Origin() as brief, Origin() as lasting:
        yard.engine("a")
        corral = yard.serve(peers={
            "p1": {"proxy": brief.url(), "models": ["brief"], "timeouts": {"idleConn": 1}},
            "p2": {"proxy": lasting.url(), "models": ["lasting"], "timeouts": {"idleConn": 0}}})
        for model in ("lasting", "brief"):
            assert corral.post("/v1/completions", {"model": model}).status == 200
        poll_until(lambda: brief.ended == 1, what="the idle connection to be ended")
        again = corral.post("/v1/completions", {"model": "lasting"})
        assert (again.json()["connection"], lasting.ended) == (1, 0)


def test_connections_that_a_peer_has_ended_do_not_stay_with_us(yard):
    """Guards: half-closed sockets do not pile up for as long as idle ones may stay."""
    with Origin() as upstream:
        corral = serve(yard, upstream)
        assert corral.post("/v1/completions", PEER_REQUEST).status == 200
        assert len(open_to(upstream.port)) == 1
        upstream.drop_all()
        poll_until(lambda: not open_to(upstream.port), what="our side to be closed")


def test_a_peer_that_moves_gets_no_request_at_its_old_address(yard):
    """Guards: a reload that changes the address leaves the kept connections unused."""
    with Origin() as old, Origin() as new:
        corral = serve(yard, old)
        assert corral.post("/v1/completions", PEER_REQUEST).status == 200
        text = corral.config_file.read_text()
        corral.config_file.write_text(text.replace(old.url(), new.url()))
        assert corral.post("/api/config/reload").status == 200
        assert corral.post("/v1/completions", PEER_REQUEST).status == 200
        assert (len(old.requests), len(new.requests)) == (1, 1)


@pytest.mark.parametrize("keepalive,seconds_max", [(7, 7), (0, 7_200)])
def test_tcp_keep_alive_has_the_period_of_the_config(yard, keepalive, seconds_max):
    """Guards: timeouts.keepalive on the socket; 0 leaves the system's period."""
    with Origin() as upstream:
        corral = serve(yard, upstream, timeouts={"keepalive": keepalive})
        assert corral.post("/v1/completions", PEER_REQUEST).status == 200
        (fields,) = open_to(upstream.port)
        timer, ticks = fields[5].split(":")
        assert timer == KEEPALIVE_TIMER
        seconds = int(ticks, 16) / os.sysconf("SC_CLK_TCK")
        assert seconds <= seconds_max
        assert keepalive or seconds > 60


def test_a_stream_leaves_its_connection_usable(yard):
    """Guards: a chunked answer's end is known, so its connection is kept, too."""

    def answer(request, connection):
        connection.send(stream_head() + chunk(b"data: [DONE]\n\n") + chunk(b""))

    with Origin(answer) as upstream:
        corral = serve(yard, upstream)
        for _ in range(5):
            assert corral.chat("pm", stream=True).complete
        assert upstream.accepts == 1


@pytest.fixture
def socket_path():
    """Short enough for a socket, whatever the folder of the test is."""
    with tempfile.TemporaryDirectory(prefix="corral-") as folder:
        yield Path(folder) / "engine.sock"


def test_a_model_may_listen_on_a_unix_socket(yard, socket_path):
    """Guards: proxy: unix://, from readiness to a stream, with the client's Host as for TCP."""
    yard.engine("u", {"proxy": f"unix://{socket_path}"}, socket=socket_path)
    corral = yard.serve()
    assert corral.chat("u").json()["model"] == "u"
    assert corral.chat("u", stream=True).complete
    assert corral.get("/upstream/u/page?x=1").json()["target"] == "/page?x=1"
    hosts = [line for head, _ in yard.engines["u"].requests for line in head.split(b"\r\n")
             if line.lower().startswith(b"host:")]
    assert hosts == [b"Host: 127.0.0.1"] * 3


def test_a_socket_that_a_dead_model_left_is_in_nobodys_way(yard, socket_path):
    """Guards: llama-server cannot listen where a socket lies already, and leaves its own behind
    whenever it ends: the model starts again after a stop and after a crash all the same."""
    engine = yard.engine(
        "u", {"proxy": f"unix://{socket_path}"}, socket=socket_path, no_unlink=True
    )
    corral = yard.serve()
    for turn in (1, 2):
        assert corral.chat("u").json()["model"] == "u"
        assert corral.post("/api/models/unload/u").status == 200
        assert socket_path.is_socket() and len(engine.starts) == turn
    assert corral.chat("u").status == 200
    corral.signal(9, engine.starts[-1])
    poll_until(lambda: corral.running() == {}, what="the death to be noticed")
    assert corral.chat("u").json()["model"] == "u"


@pytest.fixture
def stale_engine(yard, socket_path):
    """A server of no model on that socket, which was there before Corral."""
    events = yard.folder / "stale-events"
    words = ["--socket", socket_path, "--model", "stale", "--events", events]
    process = subprocess.Popen([FAKE_ENGINE, *map(str, words)])
    try:
        poll_until(socket_path.is_socket, what="the stale server")
        yield events
    finally:
        process.kill()
        process.wait()


def test_a_stale_server_on_a_unix_socket_never_answers_for_a_model(yard, socket_path, stale_engine):
    """Guards: the listener decides, not the answer: who was there before the launch is named, and
    asked for nothing; a model that takes the place of the socket is the model."""
    place = {"proxy": f"unix://{socket_path}"}
    idle = yard.engine("idle", place, never_listen=True)
    yard.engine("good", place, socket=socket_path)
    corral = yard.serve()
    answer = corral.chat("idle", deadline=60)
    assert answer.status == 502, answer
    assert answer.error["failure"]["class"] == "port_in_use"
    assert f"the socket {socket_path} is held by process" in answer.error["message"]
    poll_until(lambda: not is_alive(idle.starts[0]), what="the child to be gone")
    assert "POST" not in stale_engine.read_text()
    assert corral.chat("good").json()["model"] == "good"


def test_a_request_without_host_reaches_a_unix_socket_with_one(yard, socket_path):
    """Guards: HTTP/1.1 is never spoken without Host, which HTTP/1.0 may leave out."""
    yard.engine("u", {"proxy": f"unix://{socket_path}"}, socket=socket_path)
    corral = yard.serve()
    with corral.connect() as connection:
        body = b'{"model":"u"}'
        connection.send(b"POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert connection.read_response().status == 200
    ((head, _),) = yard.engines["u"].requests
    assert b"\r\nHost: localhost\r\n" in head + b"\r\n"


def test_connections_over_a_unix_socket_are_kept_too(yard, socket_path):
    """Guards: a model there has its pool like others."""
    with Origin(path=socket_path) as upstream:
        yard.engine("m", {"proxy": upstream.url(), "checkEndpoint": "none"})
        corral = yard.serve()
        numbers = {corral.chat("m").json()["connection"] for _ in range(5)}
        assert len(numbers) == 1


def test_a_unix_path_that_no_socket_can_have_is_an_error_of_the_config(yard):
    """Guards: found when the file is loaded, with its line, and not by the first request."""
    config = yard.folder / "long.yaml"
    config.write_text("models:\n  m:\n    cmd: x\n    proxy: unix:///" + "x" * 108 + "\n")
    done = run_corral(yard.folder, "check", config)
    assert done.returncode != 0
    assert "long.yaml:4" in done.stdout + done.stderr
    assert "a Unix socket path has at most 107 bytes" in done.stdout + done.stderr


def test_idle_connections_to_a_model_are_closed_before_it_is_told_to_end(yard):
    """Guards: llama-server waits for them for a tenth of a second before it ends, which every swap
    would pay for: when a model has stopped, Corral holds no connection to it."""
    yard.engine("a")
    corral = yard.serve()
    with corral.connect() as client:
        for _ in range(3):
            assert client.request("POST", "/v1/completions", {"model": "a"}).status == 200
        assert len(held(yard.ports.start)) == 1, "it is kept for the next"
        assert client.request("POST", "/api/models/unload/a").status == 200
        assert held(yard.ports.start) == []


def held(port):
    """Sockets that lead there and belong to a process; TIME_WAIT belongs to none."""
    return [fields for fields in sockets_to(port) if fields[9] != "0"]
