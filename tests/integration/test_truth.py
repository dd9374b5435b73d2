"""What breaks between Corral and a model is told as what it was: the test plays the model on bare
sockets and breaks off at every point of an answer, and the client breaks off at every point of a
request. fake_engine's own deaths are in test_faults.py."""

import pytest
from corral_harness import Yard, poll_until
from corral_http import chunked, make_request
from corral_upstream import Upstream

ASK = make_request("POST", "/v1/completions", {"model": "a"})
OLD = ASK.replace(b"HTTP/1.1", b"HTTP/1.0")
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Front:
    """One Corral and the model behind it, its own or a peer's. Each test starts with no kept
    connection."""

    def __init__(self, folder, whose):
        self.yard, self.upstream, self.whose = Yard(folder), Upstream(), whose
        peer = {"proxy": f"http://127.0.0.1:{self.upstream.port}", "models": ["a"]}
        own = {"models": {"a": self.upstream.config()}}
        self.corral = self.yard.serve(own if whose == "model" else {"peers": {"p": peer}})
        self.connect = self.corral.connect
        if whose == "model":
            assert self.corral.post("/models/load", {"model": "a"}).status == 200
        while self.upstream.has_another():  # Corral looked whether somebody listens
            pass

    def ask(self, client, request=ASK):
        """Sends a request and gives the model's end of it, the request read."""
        client.send(request)
        upstream = self.upstream.accept()
        upstream.request = upstream.read_request()
        return upstream

    def log_lines(self, mark):
        return [line for line in self.corral.log.splitlines() if mark in line]


@pytest.fixture(scope="module", params=["model", "peer"])
def shared(request, tmp_path_factory):
    front = Front(tmp_path_factory.mktemp("truth"), request.param)
    yield front
    assert front.corral.get("/health").status == 200
    front.upstream.close()
    front.yard.close()


@pytest.fixture
def front(shared):
    """Closes what a test left open on the model's side, so that nothing of it is used again."""
    yield shared
    for connection in shared.upstream.accepted:
        connection.close()
    assert not shared.upstream.has_another(), "a connection that nobody expected"


def finish(upstream, how):
    upstream.reset() if how == "RST" else upstream.close()


# What the model says before it ends the connection; nothing of it is an answer.
NO_ANSWER = {
    "nothing": b"",
    "one byte": b"H",
    "half a status line": b"HTTP/1.1 20",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    "head without its last LF": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r",
    "interim only": b"HTTP/1.1 100 Continue\r\n\r\n",
    "interim and half a head": b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200",
    "an interim answer too many": b"HTTP/1.1 102 Processing\r\n\r\n" * 17,
    "two lengths that agree": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    b"Content-Length: 2\r\n\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a body for 204": b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "line feeds only": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("said", NO_ANSWER.values(), ids=NO_ANSWER.keys())
def test_what_is_no_answer_is_502_and_asked_once(front, said, how):
    """Guards: the client learns of a broken answer by 502, and a POST that may have been run is not
    run again."""
    with front.connect() as client:
        upstream = front.ask(client)
        upstream.try_send(said)
        finish(upstream, how)
        answer = client.read_response()
        assert (answer.status, answer.error["type"]) == (502, "server_error"), answer
        assert not front.upstream.has_another()
        assert client.request("GET", "/health").status == 200, "the client did nothing wrong"


# Answers that end too early: (what comes, the body that may be passed on).
CUT = {
    "no byte of a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b""),
    "all but one byte": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour", b"four"),
    "before the first chunk": (STREAM, b""),
    "between chunks": (STREAM + b"3\r\nabc\r\n", b"abc"),
    "in a chunk": (STREAM + b"5\r\nabc", b"abc"),
    "in a size": (STREAM + b"3\r\nabc\r\n1", b"abc"),
    "behind a chunk's data": (STREAM + b"3\r\nabc", b"abc"),
    "in the last chunk": (STREAM + b"3\r\nabc\r\n0\r\n", b"abc"),
    "in the trailers": (STREAM + b"3\r\nabc\r\n0\r\nX: y\r\n", b"abc"),
}


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("raw,body", CUT.values(), ids=CUT.keys())
def test_an_answer_that_ends_too_early_is_visibly_cut(front, raw, body, how):
    """Guards: a truncated answer is never completed: no last chunk, no filled-up length, the
    connection's end instead; and it is not asked for again."""
    with front.connect() as client:
        upstream = front.ask(client)
        upstream.send(raw)
        answer = client.read_head()  # it is there before the end is
        assert answer.status == 200
        finish(upstream, how)
        client.read_body(answer)
        assert not answer.complete and body.startswith(answer.body), answer
        assert how == "RST" or answer.body == body
        assert client.read_until_closed() == b""


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("raw,body", CUT.values(), ids=CUT.keys())
def test_a_cut_answer_resets_an_http_1_0_client(front, raw, body, how):
    """Guards: where the end of the connection ends a body, only a reset tells that it was cut."""
    with front.connect() as client:
        upstream = front.ask(client, OLD)
        upstream.send(raw)
        answer = client.read_head()
        assert not answer.all("Transfer-Encoding")
        finish(upstream, how)
        if answer.all("Content-Length"):
            client.read_body(answer)
            assert not answer.complete
            return
        with pytest.raises(ConnectionResetError):
            while client.socket.recv(65536):
                pass


def test_a_body_without_a_length_that_is_reset_is_cut(front):
    """Guards: a close-delimited answer is whole when the connection ends, not when it breaks."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    for how, complete in (("FIN", True), ("RST", False)):
        with front.connect() as client:
            upstream = front.ask(client)
            upstream.send(head + b"some")
            answer = client.read_head()
            assert client.read_chunk() == b"some"
            finish(upstream, how)
            client.read_body(answer)
            assert answer.complete == complete


# The kept connection breaks under the next request: what the model said on it, asked again or not.
STALE = {
    "nothing": (b"", True),
    "one byte": (b"H", False),
    "an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n", False),
    "an early hint": (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", False),
    "half a head": (b"HTTP/1.1 200 OK\r\n", False),
}


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("said,again", STALE.values(), ids=STALE.keys())
def test_only_a_kept_connection_without_a_byte_is_worth_another_try(front, said, again, how):
    """Guards: one transparent retry where the model cannot have begun to answer, none elsewhere."""
    with front.connect() as client:
        kept = front.ask(client)
        kept.answer()
        assert client.read_response().status == 200
        client.send(ASK)
        first = kept.read_request()
        kept.try_send(said)
        finish(kept, how)
        if again:
            fresh = front.upstream.accept()
            assert fresh.read_request() == first, "the same request, byte for byte"
            fresh.answer(b"again")
            assert client.read_response().body == b"again"
        else:
            assert client.read_response().status == 502
            assert not front.upstream.has_another()


def test_the_second_try_is_the_last(front):
    """Guards: a model that breaks off each time is not asked for ever."""
    with front.connect() as client:
        kept = front.ask(client)
        kept.answer()
        assert client.read_response().status == 200
        client.send(ASK)
        kept.read_request()
        kept.close()
        fresh = front.upstream.accept()
        fresh.read_request()
        fresh.close()
        assert client.read_response().status == 502
        assert not front.upstream.has_another()


# Answers after which the connection is not asked again.
ONCE = {
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "close among others": b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "more than its length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay",
    "more than its last chunk": STREAM + b"2\r\nok\r\n0\r\n\r\nX",
    "a second answer": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
}


@pytest.mark.parametrize("raw", ONCE.values(), ids=ONCE.keys())
def test_a_connection_on_which_something_was_odd_is_never_used_again(front, raw):
    """Guards: bytes beyond an answer belong to nobody, and a model that closes is believed."""
    with front.connect() as client:
        upstream = front.ask(client)
        upstream.send(raw)
        answer = client.read_response()
        assert (answer.status, answer.body) == (200, b"ok")
        assert upstream.wait_until_gone() == b""
        other = front.ask(client)
        other.answer(b"own")
        assert client.read_response().body == b"own"


def test_late_bytes_on_a_kept_connection_reach_nobody(front):
    """Guards: what comes while a connection is idle was not asked for, even if it looks whole."""
    with front.connect() as client:
        kept = front.ask(client)
        kept.answer()
        assert client.read_response().body == b"ok"
        kept.answer(b"poison")
        other = front.ask(client)
        other.answer(b"own")
        assert client.read_response().body == b"own"
        assert kept.wait_until_gone() == b""


@pytest.mark.parametrize(
    "method,raw,length",
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "5"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", None),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", "5"),
        ("GET", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", "0"),
    ],
)
def test_an_answer_without_a_body_keeps_both_connections(front, method, raw, length):
    """Guards: no body is waited for where there is none, and the length that is told is kept."""
    page = make_request(method, "/upstream/a/x")
    with front.connect() as client:
        upstream = front.ask(client, page)
        for _ in range(3):
            upstream.send(raw)
            answer = client.read_response(method)
            assert (answer.field("Content-Length"), answer.body) == (length, b"")
            assert not answer.all("Transfer-Encoding") or method == "HEAD"
            client.send(page)
            upstream.read_request()
        upstream.send(raw)
        client.read_response(method)


def test_chunk_extensions_and_trailers_end_at_the_proxy(front):
    """Guards: both belong to one connection or to nobody who asked (RFC 9110 §6.5.1); the body is
    whole without them."""
    raw = STREAM + b'3;a="b\\""\r\nabc\r\n0003;x\r\ndef\r\n000;last\r\nX-T: 1\r\n\r\n'
    with front.connect() as client:
        upstream = front.ask(client)
        upstream.send(raw)
        client.read_head()
        assert client._until(b"\r\n0\r\n\r\n").endswith(b"3\r\nabc\r\n3\r\ndef")
        assert client.request("GET", "/health").status == 200


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_may_come_in_pieces_of_any_size(front, size):
    """Guards: heads and chunks that are torn anywhere are put together, nothing else changes."""
    raw = b"HTTP/1.1 100 Continue\r\n\r\n" + STREAM[:-2] + b"X-Own:  a  b \r\n\r\n"
    raw += chunked(b"first", b"x" * 3000, b"\r\n0\r\n\r\n")
    with front.connect() as client:
        upstream = front.ask(client)
        for start in range(0, len(raw), size):
            upstream.send(raw[start : start + size])
        answer = client.read_response()
        assert answer.complete
        assert answer.body == b"first" + b"x" * 3000 + b"\r\n0\r\n\r\n"
        assert answer.field("X-Own") == "a  b"


def uploading(size=300_000, framing="length"):
    """The head and the first half of an upload, and its second half."""
    body = b'{"model":"a","x":"' + b"x" * size + b'"}'
    half = size // 2
    if framing == "chunked":
        first, second, field = (
            b"%x\r\n%s\r\n" % (half, body[:half]), chunked(body[half:]),
            ("Transfer-Encoding", "chunked"),
        )
    else:
        first, second, field = body[:half], body[half:], ("Content-Length", str(len(body)))
    return make_request("POST", "/v1/completions", b"", [field]) + first, second


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("ends", ["open", "FIN", "RST"])
@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    b"HTTP/1.1 413 Too Much\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
], ids=["length", "chunked"])
def test_an_answer_before_the_uploads_end_is_the_answer(front, raw, ends, framing):
    """Guards: a model that refuses early is heard: its answer comes at once, whole, and the rest of
    the upload is neither waited for nor given to anybody."""
    first, second = uploading(framing=framing)
    with front.connect() as client:
        client.send(first)
        upstream = front.upstream.accept()
        upstream.read_request_head()
        upstream.send(raw)
        if ends != "open":
            finish(upstream, ends)
        answer = client.read_response()
        assert (answer.status, answer.body, answer.complete) == (413, b"no", True)
        client.try_send(second)
        assert client.read_until_closed() == b""
    if ends == "open":
        assert second not in upstream.wait_until_gone()


def test_an_answer_and_an_upload_flow_at_the_same_time(front):
    """Guards: an answer that has begun does not end the request, and both arrive whole."""
    first, second = uploading()
    with front.connect() as client:
        client.send(first)
        upstream = front.upstream.accept()
        line, fields = upstream.read_request_head()
        upstream.send(STREAM + b"3\r\nabc\r\n")
        answer = client.read_head()
        assert client.read_chunk() == b"abc"
        client.send(second)
        body = upstream.read_some(int(dict(fields)["Content-Length"]))
        assert body == first.split(b"\r\n\r\n", 1)[1] + second
        upstream.send(chunked(b"def"))
        client.read_body(answer)
        assert (answer.complete, answer.body) == (True, b"def")
        assert client.request("GET", "/health").status == 200


def leave(client, how):
    client.reset() if how == "RST" else client.close()


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("phase", ["head", "body", "waiting", "streaming", "streaming upload"])
def test_a_client_that_leaves_ends_its_request_at_the_model(front, phase, how):
    """Guards: in every phase the model learns at once that nobody listens any more, and the log
    says 499."""
    logged = len(front.log_lines("status=499"))
    client = front.connect()
    if phase == "head":
        client.send(ASK[:40])
        leave(client, how)
        assert front.corral.get("/health").status == 200
        return
    if phase in ("body", "streaming upload"):
        client.send(uploading()[0])
        upstream = front.upstream.accept()
        upstream.read_request_head()
    else:
        upstream = front.ask(client)
    if phase.startswith("streaming"):
        upstream.send(STREAM + b"3\r\nabc\r\n")
        client.read_head()
        assert client.read_chunk() == b"abc"
    leave(client, how)
    upstream.wait_until_gone()
    poll_until(lambda: len(front.log_lines("status=499")) == logged + 1, what="the 499")
    assert not front.upstream.has_another()


def test_a_client_that_leaves_with_its_next_request_sent_is_seen(front):
    """Guards: bytes behind the request do not hide that the client has gone."""
    client = front.connect()
    upstream = front.ask(client, ASK + ASK)
    client.close()
    upstream.wait_until_gone()


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_client_that_leaves_during_the_load_is_not_waited_for(tmp_path, how):
    """Guards: a request whose client has gone never reaches the model that loads for it."""
    yard = Yard(tmp_path)
    engine = yard.engine("a", load_until=tmp_path / "go")
    try:
        corral = yard.serve()
        client = corral.connect()
        client.send(ASK)
        corral.wait_for_state("a", "starting")
        leave(client, how)
        poll_until(lambda: "status=499" in corral.log, what="the 499")
        (tmp_path / "go").write_text("")
        assert corral.chat("a").status == 200
        assert len(engine.requests) == 1
    finally:
        yard.close()


def test_a_delivered_answer_is_no_499(front):
    """Guards: a client that closes as soon as it has everything did not leave too early."""
    own = b"\r\nConnection: close\r\nX-Request-Id: closing\r\n\r\n"
    closing = ASK.replace(b"\r\n\r\n", own, 1)
    for _ in range(20):
        with front.connect() as client:
            upstream = front.ask(client, closing)
            upstream.answer(b"all", fields=b"Connection: close\r\n")
            answer = client.read_response()
            assert (answer.body, answer.field("Connection")) == (b"all", "close")
    poll_until(lambda: len(front.log_lines("req=closing ")) == 20, what="all lines of the log")
    assert not any("status=499" in line for line in front.log_lines("req=closing "))


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_model_that_breaks_during_an_upload_is_502(front, framing, how):
    """Guards: the end of the model's connection ends the upload, too: the client is told and not
    left sending."""
    first, second = uploading(framing=framing)
    with front.connect() as client:
        client.send(first)
        upstream = front.upstream.accept()
        upstream.read_request_head()
        finish(upstream, how)
        answer = client.read_response()
        assert (answer.status, answer.error["type"]) == (502, "server_error")
        assert answer.field("Connection") == "close"
        client.try_send(second)
        assert client.read_until_closed() == b""
        assert not front.upstream.has_another()


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_a_client_that_leaves_its_upload_behind_an_answer_ends_both(front, how):
    """Guards: an answer that streams while the upload does ends with its client."""
    first, _ = uploading(framing="chunked")
    client = front.connect()
    client.send(first)
    upstream = front.upstream.accept()
    upstream.read_request_head()
    upstream.send(STREAM + b"3\r\nabc\r\n")
    client.read_head()
    leave(client, how)
    assert b"\r\n0\r\n" not in upstream.wait_until_gone()


def test_a_request_without_a_body_may_be_asked_again(front):
    """Guards: the retry is there for GET as for POST, with the same head."""
    page = make_request("GET", "/upstream/a/x?y=%20", fields=[("X-Request-Id", "own")])
    with front.connect() as client:
        kept = front.ask(client, page)
        kept.answer()
        client.read_response()
        client.send(page)
        assert kept.read_request() == kept.request
        kept.close()
        fresh = front.upstream.accept()
        assert fresh.read_request() == kept.request
        fresh.answer(b"again")
        assert client.read_response().body == b"again"


def test_an_upload_that_streams_goes_on_a_fresh_connection(front):
    """Guards: what cannot be sent twice never meets a connection that may be stale."""
    first, second = uploading()
    with front.connect() as client:
        kept = front.ask(client)
        kept.answer()
        assert client.read_response().status == 200
        client.send(first)
        fresh = front.upstream.accept()
        client.send(second)
        assert fresh.read_request()[2].endswith(b'x"}')
        fresh.answer()
        assert client.read_response().status == 200
