"""The chunk that arrives is the chunk that leaves, at once: the test plays model and client, and
makes the model's next write only when the client has what the last one said."""

import signal

import pytest
from corral_harness import Yard
from corral_http import make_request
from corral_processes import poll_until
from corral_upstream import Upstream, leave_no_connection, serve_here_and_there

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    yield from serve_here_and_there(tmp_path_factory.mktemp("relay"))


@pytest.fixture
def front(shared):
    yield from leave_no_connection(shared)


def ask(front, name="here", version=b"HTTP/1.1"):
    """A client that has asked, and the model's end of it, the request read."""
    client = front.corral.connect()
    request = make_request("POST", "/v1/chat/completions", {"model": name, "stream": True})
    client.send(request.replace(b"HTTP/1.1", version, 1))
    upstream = front.upstream.accept()
    upstream.read_request()
    return client, upstream


def events(count=50):
    return [b"data: {\"token\":%d}\n\n" % number for number in range(count)]


@pytest.mark.parametrize("name", ["here", "there"])
def test_each_chunk_leaves_before_the_next_one_comes(front, name):
    """Guards: head and each chunk reach the client as one chunk of their own, at once, from our
    models and from others'."""
    client, upstream = ask(front, name)
    with client:
        upstream.send(SSE + CHUNKED)
        answer = client.read_head()
        assert answer.field("Content-Type") == "text/event-stream"
        for event in events():
            upstream.send(b"%x\r\n%s\r\n" % (len(event), event))
            assert client.read_chunk() == event
        upstream.send(b"0\r\n\r\n")
        assert client.read_chunk() == b""
        assert client.buffer == b""


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("framing", ["length", "until close"])
def test_each_piece_leaves_at_once_whatever_frames_it(front, framing, version):
    """Guards: nothing waits for the end of an answer, with a length or without one, for clients of
    both versions."""
    client, upstream = ask(front, version=version)
    pieces = events()
    length = b"Content-Length: %d\r\n" % len(b"".join(pieces)) if framing == "length" else b""
    chunks = framing != "length" and version == b"HTTP/1.1"
    with client:
        upstream.send(SSE + length + b"\r\n")
        answer = client.read_head()
        assert (answer.field("Transfer-Encoding") == "chunked") == chunks
        for piece in pieces:
            upstream.send(piece)
            assert (client.read_chunk() if chunks else client._exactly(len(piece))) == piece
        upstream.close()
        if chunks:
            assert client.read_chunk() == b""


def test_a_chunk_leaves_before_it_is_whole(front):
    """Guards: what has come of a large chunk is passed on, its rest is not waited for; and framing
    alone makes no empty chunk, which would end the answer."""
    client, upstream = ask(front)
    with client:
        upstream.send(SSE + CHUNKED)
        client.read_head()
        for torn in (b"1", b"0;x=", b"y\r", b"\n"):
            upstream.send(torn)
        upstream.send(b"12345678")
        assert client.read_chunk() == b"12345678"
        upstream.send(b"9")
        assert client.read_chunk() == b"9"
        upstream.send(b"abcdefg\r")
        assert client.read_chunk() == b"abcdefg"
        for torn in (b"\n", b"0", b"0", b"3\r\n"):
            upstream.send(torn)
        upstream.send(b"end")
        assert client.read_chunk() == b"end"
        upstream.send(b"\r\n0\r\nX: y\r\n\r")
        assert not client.has_bytes_within(0.05)
        upstream.send(b"\n")
        assert client.read_chunk() == b""


def test_chunks_that_come_together_stay_apart(front):
    """Guards: several chunks in one packet leave as the chunks that they were."""
    client, upstream = ask(front)
    pieces = events(80)  # less than one relay buffer
    with client:
        upstream.send(SSE + CHUNKED)
        answer = client.read_head()
        upstream.send(b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces))
        upstream.send(b"0\r\n\r\n")
        client.read_body(answer)
        assert answer.complete and answer.chunks == pieces


def test_the_head_leaves_before_any_body(front):
    """Guards: a client sees the status as soon as the model has said it, and its next request goes
    on the same connection when the answer has ended."""
    client, upstream = ask(front)
    with client:
        upstream.send(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n")
        answer = client.read_head()
        assert (answer.status, answer.reason) == (429, "Slow Down")
        assert answer.field("Retry-After") == "7"
        upstream.send(b"no")
        client.read_body(answer)
        assert answer.body == b"no"
        assert client.request("GET", "/health").status == 200


@pytest.mark.parametrize(
    "more,fields",
    [
        (b"", {"X-Accel-Buffering": ["no"], "Cache-Control": ["no-transform"]}),
        (b"Cache-Control: no-cache\r\n", {"Cache-Control": ["no-cache"]}),
        (b"x-accel-buffering: yes\r\n", {"X-Accel-Buffering": ["yes"]}),
        (b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", {"Set-Cookie": ["a=1", "b=2"]}),
        (b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n",
         {"X-Hop": [], "Keep-Alive": [], "Connection": []}),
        (b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: s\r\n",
         {"Date": ["Thu, 01 Jan 1970 00:00:00 GMT"], "Server": ["s"]}),
    ],
)
def test_what_a_streams_head_says_arrives_with_what_stops_buffering(front, more, fields):
    """Guards: proxies between Corral and the client are told not to buffer a stream, and a model's
    own word on it holds."""
    client, upstream = ask(front)
    with client:
        upstream.send(SSE + more + CHUNKED + b"0\r\n\r\n")
        answer = client.read_response()
        for name, values in fields.items():
            assert answer.all(name) == values


def test_other_answers_get_no_fields_of_a_stream(front):
    """Guards: what is no stream is not told how to be buffered."""
    client, upstream = ask(front)
    with client:
        upstream.answer(b"{}", fields=b"Content-Type: application/json\r\n")
        answer = client.read_response()
        names = {name.lower() for name, _ in answer.fields}
        assert names == {"content-type", "content-length", "x-request-id", "date"}


def test_a_peers_stream_ends_before_the_program_does(tmp_path):
    """Guards: at SIGTERM what a peer answers is waited for as what a model answers."""
    upstream = Upstream()
    yard = Yard(tmp_path)
    try:
        peer = {"proxy": f"http://127.0.0.1:{upstream.port}", "models": ["there"]}
        corral = yard.serve({"peers": {"p": peer}})
        with corral.connect() as client:
            client.send(make_request("POST", "/v1/completions", {"model": "there"}))
            server = upstream.accept()
            server.read_request()
            server.send(SSE + CHUNKED + b"1\r\na\r\n")
            response = client.read_head()
            corral.signal(signal.SIGTERM)
            poll_until(lambda: "SIGTERM: finishing" in corral.log, what="the drain to begin")
            server.send(b"1\r\nb\r\n0\r\n\r\n")
            client.read_body(response)
            assert response.complete and response.body == b"ab"
        assert corral.wait() == 0
    finally:
        upstream.close()
        yard.close()
