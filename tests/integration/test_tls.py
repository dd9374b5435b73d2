"""https to peers and models: who is believed, what is refused and why, what passes."""

import hashlib
import queue
import socket
import ssl
import warnings

import pytest
from corral_http import chunked, make_request
from corral_origin import Authority, Origin, chunk, echo, response, stream_head

PEER_REQUEST = {"model": "pm"}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def serve(yard, authority, url, **peer):
    """Corral with an engine `a` and a peer at `url`, trusting the authority."""
    yard.engine("a")
    peers = {"p1": {"proxy": url, "models": ["pm"], **peer}}
    return yard.serve(env=authority.environment, peers=peers)


def test_a_peer_behind_tls_is_a_peer_like_others(yard, authority):
    """Guards: host, key, base path and name as without TLS, and one connection for many requests,
    although the server's session tickets arrive on it."""
    with Origin(tls=authority.server_context()) as upstream:
        corral = serve(yard, authority, upstream.url("/base/", host="localhost"), apiKey="sk-peer")
        for number in range(20):
            answer = corral.post(f"/v1/completions?n={number}", PEER_REQUEST)
            assert answer.status == 200, answer
            assert answer.json()["target"] == f"/base/v1/completions?n={number}"
        assert upstream.accepts == 1
        request = upstream.requests[0]
        assert request.fields["host"] == f"localhost:{upstream.port}"
        assert request.fields["authorization"] == "Bearer sk-peer"
        assert "connection" not in request.fields


@pytest.mark.parametrize("names,days,own_signature,told", [
    ("DNS:other.example", 2, False, "is for other.example and not for 127.0.0.1"),
    ("DNS:127.0.0.1", 2, False, "and not for 127.0.0.1"),
    ("IP:127.0.0.1", -1, False, "its certificate expired on "),
    ("IP:127.0.0.1", 2, True, "is signed by itself"),
])
def test_a_certificate_that_proves_nothing_is_refused(yard, authority, names, days, own_signature,
                                                      told):
    """Guards: not a byte of a request reaches a server that is not the one of the URL, and people
    learn what is wrong."""
    context = authority.server_context(names, days=days, own_signature=own_signature)
    with Origin(tls=context) as upstream:
        corral = serve(yard, authority, upstream.url())
        answer = corral.chat("pm")
        assert answer.status == 502, answer
        message = answer.error["message"]
        assert message.startswith("peer proxy error: p1: cannot connect to "), message
        assert f"127.0.0.1:{upstream.port}: TLS: " in message
        assert told in message
        assert upstream.requests == []
        assert corral.chat("a").status == 200


def test_an_authority_that_nobody_named_is_not_believed(yard, authority, tmp_path):
    """Guards: another authority's certificate is refused, and the text says what to do."""
    stranger = Authority(tmp_path, "somebody else")
    with Origin(tls=stranger.server_context()) as upstream:
        message = serve(yard, authority, upstream.url()).chat("pm").error["message"]
        assert 'signed by "somebody else", an authority that is not trusted here' in message
        assert "SSL_CERT_FILE" in message
        assert upstream.requests == []


def test_what_is_older_than_tls_1_2_is_refused(yard, authority):
    """Guards: no downgrade, and a text that says so."""
    context = authority.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Origin(tls=context) as upstream:
        message = serve(yard, authority, upstream.url()).chat("pm").error["message"]
        assert "TLS: it speaks no TLS 1.2 or newer" in message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken_and_keep_their_connection(yard, authority, version):
    """Guards: 1.2 and 1.3, each with reuse."""
    context = authority.server_context()
    context.minimum_version = context.maximum_version = version
    with Origin(tls=context) as upstream:
        corral = serve(yard, authority, upstream.url())
        assert [corral.chat("pm").status for _ in range(3)] == [200, 200, 200]
        assert upstream.accepts == 1


def test_https_to_a_server_of_plain_http_is_told_as_such(yard, authority):
    """Guards: the commonest mistake has its own sentence."""
    with Origin(lambda request, connection: None) as upstream:
        url = upstream.url().replace("http:", "https:")
        with socket.create_server(("127.0.0.1", 0)) as plain:
            plain_url = url.replace(str(upstream.port), str(plain.getsockname()[1]))
            corral = serve(yard, authority, plain_url)
            with corral.connect() as connection:
                connection.send(make_request("POST", "/v1/completions", PEER_REQUEST))
                hello, _ = plain.accept()
                with hello:
                    hello.recv(4096)
                    hello.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    answer = connection.read_response()
        assert answer.status == 502
        assert "it does not speak TLS there" in answer.error["message"]


def test_a_handshake_that_does_not_end_is_given_up(yard, authority):
    """Guards: timeouts.tlsHandshake, which alone ends such a wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        corral = serve(yard, authority, url, timeouts={"tlsHandshake": 1})
        answer = corral.chat("pm")
        assert answer.status == 504, answer
        assert "no TLS handshake in time" in answer.error["message"]


def test_a_client_that_leaves_ends_the_handshake(yard, authority):
    """Guards: nothing goes on for somebody who has gone."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        corral = serve(yard, authority, f"https://127.0.0.1:{silent.getsockname()[1]}")
        with corral.connect() as connection:
            connection.send(make_request("POST", "/v1/completions", PEER_REQUEST))
            upstream, _ = silent.accept()
            with upstream:
                upstream.settimeout(20)
                assert upstream.recv(4096) != b""  # the client's hello
                connection.reset()
                while upstream.recv(4096) != b"":
                    pass


def test_an_answer_that_was_cut_does_not_look_whole(yard, authority):
    """Guards: a body that lasts until the end of the connection, cut on the way, is an error for
    the client; the same with its end announced is whole."""

    def answer(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nas much as came")
        connection.close(announced=request.target.endswith("whole"))

    with Origin(answer, tls=authority.server_context()) as upstream:
        corral = serve(yard, authority, upstream.url())
        whole = corral.post("/v1/completions?whole", PEER_REQUEST)
        assert (whole.complete, whole.body) == (True, b"as much as came")
        cut = corral.post("/v1/completions?cut", PEER_REQUEST)
        assert (cut.status, cut.complete) == (200, False)


def test_a_stream_that_dies_is_an_error(yard, authority):
    """Guards: an SSE answer without its last chunk ends with an error, announced end or not."""

    def answer(request, connection):
        connection.send(stream_head() + chunk(b"data: 1\n\n"))
        connection.close(announced=request.target.endswith("announced"))

    with Origin(answer, tls=authority.server_context()) as upstream:
        corral = serve(yard, authority, upstream.url())
        for query in ("announced", "cut"):
            streamed = corral.post(f"/v1/completions?{query}", PEER_REQUEST)
            assert streamed.status == 200
            assert b"data: 1\n\n" in streamed.body
            assert not streamed.complete


def test_large_bodies_pass_both_ways_whole(yard, authority):
    """Guards: many records, in both directions, with either framing."""
    large = bytes(range(256)) * 32_000  # 8 MB

    def answer(request, connection):
        if request.target.endswith("down"):
            connection.send(response(large))
        else:
            echo(request, connection)

    with Origin(answer, tls=authority.server_context()) as upstream:
        corral = serve(yard, authority, upstream.url())
        down = corral.post("/v1/completions?down", PEER_REQUEST)
        assert hashlib.sha256(down.body).digest() == hashlib.sha256(large).digest()
        body = b'{"model":"pm","prompt":"' + b"p" * 8_000_000 + b'"}'
        expected = hashlib.sha256(body).hexdigest()
        assert corral.post("/v1/completions", body).json()["sha256"] == expected
        pieces = [body[i : i + 100_000] for i in range(0, len(body), 100_000)]
        streamed = corral.post("/v1/completions", chunked(*pieces),
                               fields=[("Transfer-Encoding", "chunked")])
        assert streamed.json()["sha256"] == expected


def test_each_event_passes_at_once(yard, authority):
    """Guards: an event reaches the client before the next one is written, in one record or many."""
    events = queue.Queue()

    def answer(request, connection):
        connection.send(stream_head())
        while (event := events.get(timeout=30)) is not None:
            for piece in event:
                connection.send(piece)
        connection.send(chunk(b""))

    with Origin(answer, tls=authority.server_context()) as upstream:
        corral = serve(yard, authority, upstream.url())
        with corral.connect() as connection:
            connection.send(make_request("POST", "/v1/chat/completions",
                                         {"model": "pm", "stream": True}))
            assert connection.read_head().status == 200
            for number in range(20):
                event = b"data: %d %s\n\n" % (number, b"x" * number * 2_000)
                framed = chunk(event)
                half = len(framed) // 2 if number % 2 else len(framed)
                events.put([framed[:half], framed[half:]] if number % 2 else [framed])
                got = b""
                while len(got) < len(event):
                    got += connection.read_chunk()
                assert got == event
            events.put(None)
            assert connection.read_chunk() == b""


def test_a_model_may_answer_behind_tls(yard, authority):
    """Guards: proxy: https:// of a model, its readiness, its base path, reuse, and the reason in
    the answer when its certificate is not accepted."""
    with Origin(tls=authority.server_context()) as good, \
            Origin(tls=authority.server_context("DNS:other.example")) as bad:
        yard.engine("a", {"proxy": good.url("/base")})
        yard.engine("b", {"proxy": bad.url(), "checkEndpoint": "none"})
        corral = yard.serve(env=authority.environment, groups=yard.together())
        assert corral.chat("a").json()["target"] == "/base/v1/chat/completions"
        accepts = good.accepts
        assert [corral.chat("a").status for _ in range(10)] == [200] * 10
        assert good.accepts == accepts
        answer = corral.chat("b")
        assert answer.status == 502
        assert "is for other.example and not for 127.0.0.1" in answer.error["message"]
        assert bad.requests == []


def test_a_websocket_passes_behind_tls(yard, authority):
    """Guards: after a 101 bytes go both ways, what came with the head included, and the end of each
    side reaches the other as an end."""

    def answer(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\n\r\nfirst")
        while piece := connection.socket.recv(4096):
            connection.send(piece.upper())
        connection.send(b" bye")
        connection.close(announced=True)

    with Origin(answer, tls=authority.server_context()) as upstream:
        corral = serve(yard, authority, upstream.url())
        with corral.connect() as connection:
            connection.send(make_request("GET", "/upstream/p1/pm/ws", fields=[
                ("Connection", "Upgrade"), ("Upgrade", "websocket")]))
            assert connection.read_head().status == 101
            assert connection._exactly(5) == b"first"
            for word in (b"hello", b"x" * 100_000):
                connection.send(word)
                assert connection._exactly(len(word)) == word.upper()
            connection.finish_sending()
            assert connection.read_until_closed() == b" bye"
